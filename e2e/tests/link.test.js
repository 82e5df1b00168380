// A customer connects an account of theirs through the published link SDK, unmodified: its popup is a browser
// as far as the pages need one, and the message that it waits for comes from the page's own script.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, test } from "node:test";
import { runInNewContext } from "node:vm";

import { Claviger } from "../claviger.js";
import { linkSdk } from "../packed.js";

const APP = "https://app.example.com";

/** The page that the SDK is on: what it opens is kept, and what it is told is passed on to it. */
function pageOf(origin) {
  const listeners = new Set();
  const opened = [];
  const window = {
    open(url) {
      const popup = { url, closed: false, close: () => (popup.closed = true) };
      opened.push(popup);
      return popup;
    },
    addEventListener: (kind, listener) => kind === "message" && listeners.add(listener),
    removeEventListener: (kind, listener) => listeners.delete(listener),
    setInterval,
    clearInterval,
  };
  /** What the popup sees of this page: messages for other origins are dropped, as browsers do. */
  const openerOf = (popup) => ({
    postMessage(data, target) {
      assert.notEqual(target, "*");
      if (target !== origin) return;
      const event = { data, source: popup, origin: new URL(popup.url).origin };
      for (const listener of [...listeners]) listener(event);
    },
  });
  return { window, opened, openerOf };
}

/** Shows pages in a popup: keeps its cookie, and runs the script that the page's policy names. */
class Browsing {
  #cookie = "";

  constructor(popup, opener) {
    Object.assign(this, { popup, opener });
  }

  async #show(url, options = {}) {
    const headers = { ...options.headers, ...(this.#cookie && { cookie: this.#cookie }) };
    const response = await fetch(url, { redirect: "manual", ...options, headers });
    const [kept] = response.headers.getSetCookie();
    if (kept) this.#cookie = kept.split(";")[0];
    if (response.status === 303) return this.#show(new URL(response.headers.get("location"), url));
    const html = await response.text();
    const script = /<script>([^]*?)<\/script>/.exec(html)?.[1];
    if (script) {
      const digest = createHash("sha256").update(script).digest("base64");
      assert.ok(response.headers.get("content-security-policy").includes(`'sha256-${digest}'`));
      this.#run(html, script);
    }
    const style = /<style>([^]*?)<\/style>/.exec(html)[1];
    const digest = createHash("sha256").update(style).digest("base64");
    assert.ok(response.headers.get("content-security-policy").includes(`'sha256-${digest}'`));
    return { status: response.status, html };
  }

  #run(html, script) {
    const data = (name) => unescaped(new RegExp(`data-${name}="([^"]*)"`).exec(html)[1]);
    const dataset = { message: data("message"), origins: data("origins") };
    const document = { getElementById: () => ({ dataset, addEventListener() {} }) };
    runInNewContext(script, { document, window: { opener: this.opener } });
  }

  open() {
    return this.#show(this.popup.url);
  }

  /** Sends the form of a page, as a browser does that tells nobody where it is. */
  send(html, filled) {
    const inputs = [...html.matchAll(/<input [^>]*?name="([^"]*)"[^>]*?value="([^"]*)"/g)];
    const hidden = Object.fromEntries(inputs.map(([, name, value]) => [name, unescaped(value)]));
    return this.#show(new URL("/connect-account", this.popup.url), {
      method: "POST",
      headers: { origin: "null", "sec-fetch-site": "same-origin" },
      body: new URLSearchParams({ ...hidden, ...filled }),
    });
  }
}

const unescaped = (text) =>
  text.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code)).replaceAll("&quot;", '"').replaceAll("&amp;", "&");

test("the published link SDK connects an account in a popup", async () => {
  const claviger = await Claviger.start();
  after(() => claviger.stop());
  await claviger.done("PUT", "/link-settings", { body: { origins: ["https://other.example.com", APP] } });
  const { accessKey } = await claviger.done("POST", "/access-keys", {
    body: { name: "A customer's", role: "developer", accountId: claviger.accountId },
  }).then(({ key }) => ({ accessKey: key }));

  const page = pageOf(APP);
  globalThis.window = page.window;
  after(() => delete globalThis.window);
  const { default: authenticate } = await import(await linkSdk());
  const link = async () => {
    const { link_token } = await claviger.done("POST", "/link-token", { body: { tenant_id: "customer-42" } });
    const options = { baseUrl: claviger.url, iframe: false, integration: "theauthapi", noBack: true };
    const connecting = authenticate(link_token, options);
    // Looked at below; until then nobody waits for it.
    connecting.catch(() => {});
    const popup = page.opened.at(-1);
    return { link_token, connecting, popup, browsing: new Browsing(popup, page.openerOf(popup)) };
  };

  const { connecting, popup, browsing, link_token } = await link();
  const shown = await browsing.open();
  assert.equal(shown.status, 200);
  assert.match(shown.html, /customer-42/);
  const wrong = await browsing.send(shown.html, { "credentials.api_key": "custom-key-of-nobody", action: "connect" });
  assert.equal(wrong.status, 400);
  assert.match(wrong.html, /role="alert"/);
  const done = await browsing.send(wrong.html, { "credentials.api_key": accessKey, action: "connect" });
  assert.equal(done.status, 200);
  const told = await connecting;
  assert.equal(told.result, "success");
  assert.equal(told.integration, "theauthapi");
  assert.ok(popup.closed);
  const made = await claviger.done("GET", `/integrated-account/${told.integrated_account_id}`);
  assert.deepEqual([made.tenant_id, made.status], ["customer-42", "active"]);
  const again = await fetch(`${claviger.url}/connect-account?link_token=${link_token}`);
  assert.equal(again.status, 401);

  // Who gives up is told of, too, and so is what there is not.
  const second = await link();
  const { html } = await second.browsing.open();
  await second.browsing.send(html, { action: "cancel" });
  assert.equal(await second.connecting.catch((error) => error), "closed");
  assert.ok(second.popup.closed);
  const third = await link();
  third.popup.url = third.popup.url.replace("theauthapi", "nothing");
  await third.browsing.open();
  const error = await third.connecting.catch((failed) => failed);
  assert.equal(error.error_type, "invalid_integration");
});
