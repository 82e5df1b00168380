// A customer connects accounts in a real browser, on a page with the published link SDK: by a key, and by consent
// at a stand-in for another product. The app, the product and the program are of three origins and two sites.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";

import { chromium } from "playwright-core";

import { Claviger, isOnPostgres } from "../claviger.js";
import { linkSdk } from "../packed.js";

const BROWSER = process.env.CLAVIGER_BROWSER ?? "/usr/bin/chromium";
const KEY = "custom-key-of-a-customer";
const SECRET = "custom-key-of-a-client";

/** Browsers ask for an icon, unless a page has one. */
const HEAD = '<!doctype html><title>A page</title><link rel="icon" href="data:,">';

const servers = [];

/** Answers on this machine: its address, by the name that browsers take for another site than the number. */
async function serve(answer) {
  const server = createServer((request, response) => {
    const { status = 200, type = "text/html", location, body = "" } = answer(request, new URL(request.url, "http://here"));
    response.writeHead(status, { "content-type": type, connection: "close", ...(location && { location }) }).end(body);
  });
  server.listen(0, "localhost");
  servers.push(server);
  await once(server, "listening");
  return `http://localhost:${server.address().port}`;
}

const json = (value, status) => ({ status, type: "application/json", body: JSON.stringify(value) });

/** A product that takes the key, or a token that it gave to whoever consented. */
function product({ headers, method }, { pathname, searchParams }) {
  if (pathname === "/authorize") {
    const back = new URL(searchParams.get("redirect_uri"));
    back.search = new URLSearchParams({ code: "a-code", state: searchParams.get("state") });
    return { body: `${HEAD}<a href="${back.href.replaceAll("&", "&amp;")}">Allow</a>` };
  }
  if (pathname === "/oauth/token" && method === "POST") {
    return json({ access_token: KEY, token_type: "Bearer", expires_in: 3600 });
  }
  const isTaken = pathname.startsWith("/of/acme-") && headers.authorization === `Bearer ${KEY}`;
  return isTaken ? json([]) : json({ message: "no such key" }, 401);
}

/** A page of the app: its query says what is connected, and what came of it is written down there. */
const APP = `${HEAD}
<button>Connect</button>
<output></output>
<script type="module">
  import authenticate from "/link-sdk.js";
  const { token, ...options } = Object.fromEntries(new URLSearchParams(location.search));
  document.querySelector("button").addEventListener("click", async () => {
    const told = await authenticate(token, { ...options, iframe: false }).catch((failed) => ({ failed }));
    document.querySelector("output").textContent = JSON.stringify(told);
  });
</script>`;

/** Connectors to the product, with a part of its address that users know. */
const connector = (slug, label, url, credentials) => ({
  slug,
  label,
  tool_prefix: slug,
  base_url: `${url}/of/{{context.site}}`,
  context: [{ name: "site", label: "Site", pattern: "^[a-z0-9-]{1,63}$", help: "What stands in your address" }],
  credentials,
  openapi: {
    openapi: "3.1.0",
    info: { title: label, version: "1" },
    paths: { "/orders": { get: { summary: "Lists orders", responses: { 200: { description: "Orders" } } } } },
  },
  resources: { orders: { methods: { list: { http: "GET /orders" } } } },
});

// What browsers are shown is the same on both engines.
describe("in a browser", { skip: isOnPostgres }, () => {
  let app, browser, claviger, context;
  const complaints = [];

  before(async () => {
    claviger = await Claviger.start({ flags: ["--outbound-allow-private"] });
    const url = await serve(product);
    const sdk = await readFile(await linkSdk(), "utf8");
    app = await serve((_, { pathname }) =>
      pathname === "/link-sdk.js" ? { type: "text/javascript", body: sdk } : { body: APP },
    );
    await claviger.done("PUT", "/link-settings", { body: { origins: [app] } });
    const desk = connector("desk", "Help desk", url, {
      bearer: { fields: [{ name: "token", label: "Key" }], validate: "orders.list" },
    });
    const mail = connector("mail", "Mail", url, {
      oauth2: { authorization_url: `${url}/authorize`, token_url: `${url}/oauth/token`, validate: "orders.list" },
    });
    for (const body of [desk, mail]) await claviger.done("POST", "/integration", { body });
    const client = { client_id: "app", client_secret: SECRET };
    await claviger.done("PUT", "/integration/mail/oauth-client", { body: client });

    browser = await chromium.launch({ executablePath: BROWSER });
    context = await browser.newContext();
    // Policies that a page breaks, patterns that are none, errors in its script.
    context.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    context.on("weberror", (failed) => complaints.push(String(failed.error())));
  });

  after(async () => {
    await browser?.close();
    await claviger?.stop();
    for (const server of servers) server.close();
  });

  /** Opens the app's page and, from there, the popup. */
  async function connecting(integration) {
    const { link_token: token } = await claviger.done("POST", "/link-token", { body: { tenant_id: "customer-42" } });
    const page = await context.newPage();
    await page.goto(`${app}/?${new URLSearchParams({ token, integration, baseUrl: claviger.url })}`);
    const opened = page.waitForEvent("popup");
    await page.getByRole("button").click();
    const popup = await opened;
    const told = async () => {
      await page.locator("output:not(:empty)").waitFor();
      return JSON.parse(await page.locator("output").textContent());
    };
    return { popup, told };
  }

  /** The app is told before the popup closes, which takes a moment. */
  async function closed(popup) {
    if (!popup.isClosed()) await popup.waitForEvent("close");
  }

  /** What is connected is what the app was told, and nobody complained. */
  async function connected({ popup, told }, integration) {
    const { result, integrated_account_id: id } = await told();
    assert.equal(result, "success");
    await closed(popup);
    const made = await claviger.done("GET", `/integrated-account/${id}`);
    assert.deepEqual([made.integration, made.tenant_id, made.status], [integration, "customer-42", "active"]);
    const ofPages = complaints.splice(0).filter((text) => !text.includes("responded with a status of 400"));
    assert.deepEqual(ofPages, []);
  }

  test("a key is entered from the keyboard, and the page that opened the popup is told", async () => {
    const { popup, told } = await connecting("desk");
    await popup.getByRole("heading", { name: "Connect Help desk" }).waitFor();
    for (const text of ["customer-42", "What you enter here"]) await popup.getByText(text).waitFor();
    const type = async (site, key) => {
      await popup.getByLabel("Site").fill(site);
      await popup.keyboard.press("Tab");
      await popup.keyboard.type(key);
      await popup.keyboard.press("Enter");
    };
    await type("No site", KEY);
    assert.ok(await popup.getByLabel("Site").evaluate((field) => field.validity.patternMismatch));
    await type("acme-1", "custom-key-of-nobody");
    await popup.getByRole("alert").waitFor();
    assert.match(await popup.title(), /^Not taken/);
    assert.equal(await popup.getByLabel("Site").inputValue(), "acme-1");
    assert.equal(await popup.getByLabel("Key").inputValue(), "");
    await type("acme-1", KEY);
    await connected({ popup, told }, "desk");
  });

  test("consent is given elsewhere, and the page that opened the popup is told", async () => {
    const { popup, told } = await connecting("mail");
    await popup.getByLabel("Site").fill("acme-2");
    await popup.getByRole("button", { name: "Go on to Mail" }).click();
    await popup.getByRole("link", { name: "Allow" }).click();
    await connected({ popup, told }, "mail");
  });

  test("pages of mails and of sealed secrets look as they are meant", async () => {
    const page = await context.newPage();
    for (const path of ["/sign-in", "/reset-password", "/reveal"]) {
      await page.goto(`${claviger.url}${path}?token=nobodys`);
      assert.equal(await page.getByRole("button").evaluate((button) => getComputedStyle(button).fontWeight), "600");
    }
    assert.deepEqual(complaints, []);
  });

  test("who gives up is told of, too", async () => {
    const { popup, told } = await connecting("desk");
    await popup.getByRole("button", { name: "Cancel" }).click();
    assert.equal(await told(), "closed");
    await closed(popup);
  });
});
