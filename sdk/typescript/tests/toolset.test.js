// What every framework's tools are made of, against the running program.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { inspect } from "node:util";
import { after, test } from "node:test";

import { Toolset, ToolsetError } from "@claviger/toolset";

import { CHECK, connection, CREATE, LIST, READ, REVOKE, ROTATE, startClaviger, usedUpKey } from "./gateway.js";

const claviger = await startClaviger({ clock: true });
const { integratedAccountId: account, projectId } = claviger;
const toolset = new Toolset(connection(claviger));

/** The tools by their names. */
async function tools(filter, of = toolset) {
  const listed = await of.tools(account, filter);
  return Object.fromEntries(listed.map((tool) => [tool.name, tool]));
}

test("every tool of the account is there, and a filter leaves some", async () => {
  const path = `/integrated-account/${account}/tools`;
  const { result } = await claviger.done("GET", path);
  assert.deepEqual(Object.keys(await tools()), result.map((tool) => tool.name));
  const filtered = await tools({ methods: ["read"], tags: ["projects", "accounts"] });
  assert.deepEqual(Object.keys(filtered).sort(), [
    "get_single_the_auth_api_account_by_id",
    "get_single_the_auth_api_project_by_id",
    "list_all_the_auth_api_accounts",
    "list_all_the_auth_api_projects",
  ]);
});

test("a filter that leaves nothing is refused, and says so", async () => {
  for (const filter of [{ methods: [] }, { tags: ["no-such-tag"] }]) {
    await assert.rejects(tools(filter), { name: "ToolsetError", code: "invalid_filter" });
  }
});

test("a key is made, read, rotated and revoked, by body, path and query", async () => {
  const { [CREATE]: create, [READ]: read, [ROTATE]: rotate, [REVOKE]: revoke } = await tools();
  const { result: made } = await create.call({ name: "Ada", projectId, customMetaData: { plan: "pro" } });
  assert.match(made.key, /^live_/);
  assert.equal((await read.call({ id: made.id })).result.name, "Ada");
  const { result: rotated } = await rotate.call({ id: made.id });
  assert.notEqual(rotated.key, made.key);
  await revoke.call({ id: rotated.id, reason: "superseded" });
  assert.equal((await read.call({ id: rotated.id })).result.isActive, false);
});

test("a custom method is called by its name, and its key is in no address", async (context) => {
  const { the_auth_api_api_keys_list_2: lookUp, [CREATE]: create } = await tools();
  const { result: made } = await create.call({ name: "Looked up", projectId });
  const sent = context.mock.method(globalThis, "fetch");
  assert.equal((await lookUp.call({ key: made.key })).result.id, made.id);
  assert.ok(!String(sent.mock.calls[0].arguments[0]).includes(made.key));
});

test("a list is paged by its cursor", async () => {
  const { [CREATE]: create, [LIST]: list } = await tools();
  for (const name of ["one", "two", "three"]) {
    await create.call({ name, projectId, customAccountId: "paged" });
  }
  const pages = [];
  let next_cursor;
  do {
    const page = await list.call({ customAccountId: "paged", limit: 2, next_cursor });
    pages.push(page.result.map((key) => key.name));
    next_cursor = page.next_cursor;
  } while (next_cursor);
  assert.deepEqual(pages.map((page) => page.length), [2, 1]);
  // The clock stands still, so that none is older than another.
  assert.deepEqual(pages.flat().sort(), ["one", "three", "two"]);
});

test("429 has its headers", async () => {
  const key = await usedUpKey(claviger);
  const { [CHECK]: check } = await tools();
  await assert.rejects(check.call({ key }), (error) => {
    assert.equal(error.response.status, 429);
    const seconds = Number(error.response.headers.get("ratelimit-reset"));
    assert.ok(seconds > 0 && seconds <= 3600, `${seconds}`);
    assert.match(error.message, /try again in \d+ s/i);
    assert.ok(!inspect(error, { depth: 9 }).includes(key), "the error repeats the key");
    return true;
  });
});

test("an unknown argument is refused by the gateway, with the nearest name", async () => {
  const { [CREATE]: create, [LIST]: list } = await tools();
  for (const tool of [create, list]) {
    await assert.rejects(tool.call({ nmae: "Ada" }), (error) => {
      assert.equal(error.response.status, 400);
      assert.match(error.message, /did you mean `name`/);
      assert.ok(error.isForTheModel);
      return true;
    });
  }
});

test("an id stays one segment of the address, whatever is in it", async () => {
  const { [READ]: read, [REVOKE]: revoke } = await tools();
  const strange = ["../accounts", "a/b", "..%2f..", "%2e%2e", "a?b=c#d", "\ud800", "key_ü"];
  for (const id of strange) {
    await assert.rejects(read.call({ id }), (error) => {
      // Either the gateway refuses it, or there is no such key; nothing else is read.
      assert.ok([400, 404].includes(error.response.status), error.message);
      return true;
    });
  }
  for (const id of [".", "..", "", undefined, {}]) {
    await assert.rejects(revoke.call({ id }), { code: "invalid_arguments", response: undefined });
  }
});

test("a model cannot choose another account, or that nothing is done", async () => {
  const { [LIST]: list, [READ]: read, [REVOKE]: revoke, [CREATE]: create } = await tools();
  const { id } = (await create.call({ name: "Stays", projectId })).result;
  const ofItsOwn = [[list, {}], [revoke, { id }], [create, { name: "Sneaked", projectId }]];
  for (const sneaked of ["integrated_account_id", "dry_run"]) {
    for (const [tool, args] of ofItsOwn) {
      await assert.rejects(tool.call({ ...args, [sneaked]: "true" }), (error) => {
        assert.equal(error.code, "invalid_arguments");
        assert.ok(error.message.includes(`unknown argument \`${sneaked}\``), error.message);
        return true;
      });
    }
  }
  assert.equal((await read.call({ id })).result.isActive, true);
  const { result } = await list.call({ limit: 100 });
  assert.ok(!result.some((key) => key.name === "Sneaked"));
});

test("an access key that has expired is refused, and the error says what to do", async () => {
  const body = { name: "Short-lived", accountId: claviger.accountId, role: "owner" };
  const expiry = new Date(Date.now() + 3_600_000).toISOString();
  const { key } = await claviger.done("POST", "/access-keys", { body: { ...body, expiry } });
  const { [LIST]: list } = await tools({}, new Toolset({ baseUrl: claviger.url, apiKey: key }));
  await list.call({});
  await claviger.advance(7_200);
  await assert.rejects(list.call({}), (error) => {
    assert.equal(error.response.status, 401);
    assert.match(error.message, /expired as `apiKey`/);
    assert.ok(!error.isForTheModel);
    assert.ok(!inspect(error, { depth: 9 }).includes(key), "the error repeats the key");
    return true;
  });
});

test("who gives up is told so at once, and a gateway that says nothing is not waited for", async () => {
  const silent = createServer(() => {}).listen(0, "127.0.0.1");
  after(() => silent.close());
  await once(silent, "listening");
  const baseUrl = `http://127.0.0.1:${silent.address().port}`;
  const reason = new Error("the user went away");
  const controller = new AbortController();
  const asked = new Toolset({ baseUrl, apiKey: "live_access_x" }).tools(account, { signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(asked, reason);
  const impatient = new Toolset({ baseUrl, apiKey: "live_access_x", timeoutMs: 20 });
  await assert.rejects(impatient.tools(account), { code: "timeout" });
  silent.closeAllConnections();
});

test("the key goes to no other address, and is printed nowhere", async () => {
  const apiKey = "live_access_not-to-be-told";
  const described = await claviger.done("GET", `/integrated-account/${account}/tools`);
  /** Tells the tools of the account, and leads everything else elsewhere: its address, and what it has heard. */
  const leading = async (status, location) => {
    const heard = [];
    const server = createServer((request, response) => {
      heard.push([request.url, request.headers.authorization]);
      if (request.url.startsWith(`/integrated-account/${account}/`)) response.end(JSON.stringify(described));
      else response.writeHead(status, { location }).end();
    }).listen(0, "127.0.0.1");
    after(() => server.close());
    await once(server, "listening");
    return { baseUrl: `http://127.0.0.1:${server.address().port}`, heard };
  };
  const elsewhere = await leading(200, "/");
  for (const status of [301, 302, 303, 307, 308]) {
    for (const location of [`${elsewhere.baseUrl}/proxy`, "/elsewhere"]) {
      const { baseUrl, heard } = await leading(status, location);
      const led = new Toolset({ baseUrl, apiKey });
      const { [CREATE]: create, [LIST]: list } = await tools({}, led);
      for (const asked of [() => led.tools("cac_1"), () => create.call({ name: "Ada" }), () => list.call({})]) {
        await assert.rejects(asked(), (error) => {
          assert.equal(error.response.status, status);
          assert.match(error.message, /leads to as `baseUrl`/);
          assert.ok(!inspect([error, led], { depth: 9, showHidden: true }).includes(apiKey));
          return true;
        });
      }
      assert.deepEqual(heard.map(([, presented]) => presented), Array(4).fill(`Bearer ${apiKey}`));
      assert.ok(!heard.some(([url]) => url.includes("elsewhere")));
    }
  }
  assert.deepEqual(elsewhere.heard, []);
});

test("options that cannot be right are refused before anything is sent", async () => {
  const { url: baseUrl, accessKey: apiKey } = claviger;
  const wrong = [
    { baseUrl: "keys.example.com", apiKey },
    { baseUrl: "file:///etc", apiKey },
    { baseUrl: "https://ada:secret@keys.example.com", apiKey },
    { baseUrl, apiKey: "" },
    { baseUrl, apiKey: "live_access_\nx" },
    { baseUrl },
  ];
  for (const options of wrong) {
    assert.throws(() => new Toolset(options), (error) => {
      assert.ok(error instanceof ToolsetError && error.code === "invalid_options");
      assert.ok(!/secret|live_access/.test(error.message), error.message);
      return true;
    });
  }
  for (const id of ["", "../accounts", "a/b", undefined]) {
    await assert.rejects(toolset.tools(id), { code: "invalid_options" });
  }
  await assert.rejects(toolset.tools("ia_nobodys"), (error) => error.response.status === 404);
});
