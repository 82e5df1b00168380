// The abuse cases of docs/testing.md that go through real clients, each named like its row there.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import axios from "axios";

import { agents, fail, refusedWith, succeed } from "../agents.js";
import { Claviger } from "../claviger.js";
import { refusal, versions } from "../published.js";
import { sendRaw } from "../raw.js";

const claviger = await Claviger.start({ clock: true });
after(() => claviger.stop());
const { projectId, verifierKey } = claviger;

const createKey = (input, options) =>
  claviger.done("POST", "/api-keys", { body: { name: "Ada", projectId, ...input }, ...options });
const authenticate = (key) =>
  claviger.call("POST", `/api-keys/auth/${key}`, { key: verifierKey });

/** An account beside the first one, with a project and an owner's access key. */
async function anotherAccount() {
  const key = claviger.operatorKey;
  const account = await claviger.done("POST", "/accounts", { key, body: { name: "Other" } });
  const accessKey = await claviger.done("POST", "/access-keys", {
    key,
    body: { name: "Owner", accountId: account.id, role: "owner" },
  });
  const project = await claviger.done("POST", "/projects", {
    key: accessKey.key,
    body: { name: "Other", accountId: account.id },
  });
  return { account, project, accessKey, key: accessKey.key };
}

// Made before the first test: what a group makes for itself must not change another's rows.
const { id } = await createKey();
const other = await anotherAccount();
const foreign = await createKey({ projectId: other.project.id }, { key: other.key });
const live = await createKey();
const revoked = await createKey();
await claviger.done("DELETE", `/api-keys/${revoked.id}`);
const expired = await createKey({ expiry: "2020-01-01T00:00:00.000Z" });

describe("a path as an end user's key", () => {
  const offered = [
    "..",
    ".",
    "../",
    "%2e%2e",
    "%2e%2e/x",
    "%2E%2E%2Fverify",
    "..%2fverify",
    "..\\x",
    "..%5cx",
    "../verify",
    `../${id}`,
    `../${id}/rotate`,
    `..%2f${id}%2frotate`,
    `../../api-keys/${id}/reactivate`,
    "../auth",
    "../../access-keys",
    `x/../../${id}/rotate`,
    "../..",
    "../../healthz",
    "../../readyz",
    "../../openapi.json",
  ];
  const senders = [
    ["fetch", (key) => claviger.call("POST", `/api-keys/auth/${key}`, { key: verifierKey })],
    ["fetch, by GET", (key) => claviger.call("GET", `/api-keys/auth/${key}`, { key: verifierKey })],
    [
      "axios",
      (key) =>
        axios.post(`${claviger.url}/api-keys/auth/${key}`, undefined, {
          headers: { "x-api-key": verifierKey },
          validateStatus: () => true,
        }),
    ],
    ...versions.map(({ name, connect }) => [
      name,
      async (key) => {
        const { statusCode } = await refusal(connect(claviger, verifierKey).apiKeys.authenticateKey(key));
        return { status: statusCode };
      },
    ]),
  ];
  for (const [name, send] of senders) {
    test(`through ${name}, with a verifier key: no 2xx, no row changed`, async () => {
      const before = await claviger.rows();
      for (const key of offered) {
        const { status } = await send(key);
        assert.ok(status >= 400 && status < 500, `${key}: ${status}`);
      }
      assert.deepEqual(await claviger.rows(), before);
    });
  }
  for (const { name, connect } of versions) {
    test(`through ${name}'s isValidKey: never true`, async () => {
      const client = connect(claviger, verifierKey);
      for (const key of offered) {
        assert.equal(await client.apiKeys.isValidKey(key), false, key);
      }
    });
  }
  for (const kind of ["verifierKey", "accessKey", "operatorKey"]) {
    test(`sent raw, with the ${kind}: 404`, async () => {
      const before = await claviger.rows();
      for (const key of offered) {
        const status = await sendRaw(claviger, "POST", `/api-keys/auth/${key}`, claviger[kind]);
        assert.equal(status, 404, key);
      }
      assert.deepEqual(await claviger.rows(), before);
    });
  }
});

describe("an object of another account", () => {
  for (const { name, connect } of versions) {
    const client = connect(claviger);
    const unknown = (id) => id.slice(0, 4) + "0".repeat(id.length - 4);

    test(`through ${name}, by id, reference and full key: 404, as an unknown one`, async () => {
      const { key: reference } = await connect(claviger, other.key).apiKeys.getKey(foreign.id);
      const expected = await refusal(client.apiKeys.getKey(unknown(foreign.id)));
      assert.equal(expected.statusCode, 404);
      for (const spelling of [foreign.id, reference, foreign.key]) {
        const calls = [
          client.apiKeys.getKey(spelling),
          client.apiKeys.updateKey(spelling, { name: "Mine" }),
          client.apiKeys.deleteKey(spelling),
          client.apiKeys.reactivateKey(spelling),
        ];
        for (const refused of await Promise.all(calls.map(refusal))) {
          assert.deepEqual(
            [refused.statusCode, refused.message],
            [expected.statusCode, expected.message],
          );
        }
      }
      assert.equal((await authenticate(foreign.key)).status, 404);
      assert.equal((await connect(claviger, other.key).apiKeys.getKey(foreign.id)).name, "Ada");
    });

    test(`through ${name}, a project and an account: 404, as an unknown one`, async () => {
      const pairs = [
        [(id) => client.projects.getProject(id), other.project.id],
        [(id) => client.accounts.getAccount(id), other.account.id],
        [(projectId) => client.apiKeys.getKeys({ projectId }), other.project.id],
      ];
      for (const [ask, id] of pairs) {
        const refused = await refusal(ask(id));
        const expected = await refusal(ask(unknown(id)));
        assert.equal(refused.statusCode, 404);
        assert.equal(refused.message, expected.message);
      }
    });
  }
});

describe("what is not a live key, offered for authentication", async () => {
  const { key: reference } = await claviger.done("GET", `/api-keys/${live.id}`);
  const offered = {
    "its id": live.id,
    "its reference": reference,
    "another tenant's key": foreign.key,
    "a revoked key": revoked.key,
    "an expired key": expired.key,
    "an access key": claviger.accessKey,
  };
  for (const { name, connect } of versions) {
    for (const [what, key] of Object.entries(offered)) {
      test(`through ${name}, ${what}: 404`, async () => {
        const client = connect(claviger, verifierKey);
        const { statusCode, message } = await refusal(client.apiKeys.authenticateKey(key));
        assert.deepEqual([statusCode, message], [404, "(404): Invalid client key"]);
      });
    }
  }
});

for (const { name, connect } of versions) {
  test(`read a key, PATCH it back whole, through ${name}: unchanged; its reference authenticates nowhere`, async () => {
    const client = connect(claviger);
    const { id, key: full } = await createKey({
      customMetaData: { plan: "pro" },
      customAccountId: "acme",
      rateLimitConfigs: { rateLimit: 100, rateLimitTtl: 60 },
      quota: { limit: 100, period: "day" },
      expiry: "2034-11-04T17:16:00.000Z",
      allowedIps: [],
      scopes: ["read"],
    });
    const read = await client.apiKeys.getKey(id);
    await client.apiKeys.updateKey(read.key, read);
    const { updatedAt, ...after } = await client.apiKeys.getKey(id);
    assert.ok(updatedAt >= read.updatedAt);
    delete read.updatedAt;
    assert.deepEqual(after, read);
    assert.equal(await client.apiKeys.isValidKey(read.key), false);
    assert.equal(await client.apiKeys.isValidKey(full), true);
  });

  test(`a custom key shaped as one of ours, or too short, through ${name}: 400`, async () => {
    const { id } = await createKey();
    const { key: reference } = await claviger.done("GET", `/api-keys/${id}`);
    const shapes = [id, reference, claviger.accessKey, `live_access_${"a".repeat(64)}`, "elevenchars"];
    const client = connect(claviger);
    for (const key of shapes) {
      const { statusCode } = await refusal(client.apiKeys.createKey({ name: "Ada", projectId, key }));
      assert.equal(statusCode, 400, key.slice(0, 12));
    }
  });
}

describe("at the limit", () => {
  const limited = () => createKey({ rateLimitConfigs: { rateLimit: 1, rateLimitTtl: 60 } });

  test("rotate: still limited", async () => {
    const old = await limited();
    assert.equal((await authenticate(old.key)).status, 200);
    const { key } = await claviger.done("POST", `/api-keys/${old.id}/rotate`);
    assert.equal((await authenticate(key)).status, 429);
  });

  test("revoke and reactivate: still limited", async () => {
    const { key, id } = await limited();
    assert.equal((await authenticate(key)).status, 200);
    await claviger.done("DELETE", `/api-keys/${id}`);
    await claviger.done("PATCH", `/api-keys/${id}/reactivate`);
    assert.equal((await authenticate(key)).status, 429);
  });

  test("a cost of -1, huge or fractional: 400", async () => {
    const { key } = await limited();
    for (const cost of [-1, 1e300, 0.5, "1e3", 2]) {
      const { status } = await claviger.call("POST", "/api-keys/verify", { body: { key, cost } });
      assert.equal(status, 400, String(cost));
    }
    assert.equal((await authenticate(key)).status, 200);
  });
});

describe("an idempotency key", () => {
  const headers = { "idempotency-key": "the-same" };
  const create = (body, options) =>
    claviger.call("POST", "/api-keys", { body: { projectId, ...body }, headers, ...options });

  test("of another caller, with another body, after revocation: no secret", async () => {
    const first = await create({ name: "Ada" });
    assert.equal(first.status, 201);
    assert.equal((await create({ name: "Grace" })).status, 422);

    const other = await anotherAccount();
    const theirs = await create({ name: "Ada", projectId: other.project.id }, { key: other.key });
    assert.equal(theirs.status, 201);
    assert.notEqual(theirs.body.id, first.body.id);

    assert.equal((await create({ name: "Ada" })).body.key, first.body.key);
    await claviger.done("DELETE", `/api-keys/${first.body.id}`);
    const replayed = await create({ name: "Ada" });
    assert.equal(replayed.status, 201);
    assert.equal(replayed.body.id, first.body.id);
    assert.match(replayed.body.key, /\*{9}$/);
  });
});

for (const { name, connect } of agents) {
  describe(name, () => {
    test("maker of an MCP server removed: its URL is dead at once", async () => {
      const maker = await claviger.done("POST", "/access-keys", { body: { name: "Maker", role: "owner" } });
      const { url } = await claviger.createMcpServer({ name: "Made" }, { key: maker.key });
      const client = await connect(url);
      await client.listTools();
      await claviger.done("DELETE", `/access-keys/${maker.id}`);
      assert.equal(await refusedWith(connect(url)), 401);
      await client.close();
    });

    test("maker of an MCP server expired: its URL is dead at once", async () => {
      const { createdAt } = await createKey();
      const ahead = (seconds) => new Date(Date.parse(createdAt) + seconds * 1000).toISOString();
      const maker = await claviger.done("POST", "/access-keys", {
        body: { name: "Maker", role: "owner", expiry: ahead(7200) },
      });
      const server = { name: "Made", expires_at: ahead(7000) };
      const { url } = await claviger.createMcpServer(server, { key: maker.key });
      await claviger.done("PATCH", `/access-keys/${maker.id}`, { body: { expiry: ahead(600) } });
      await (await connect(url)).close();
      await claviger.advance(600);
      assert.equal(await refusedWith(connect(url)), 401);
    });

    test("forged or borrowed next_cursor: 400", async () => {
      for (const customAccountId of ["borrowed-from", "borrowed-by"]) {
        await createKey({ customAccountId });
        await createKey({ customAccountId });
      }
      const { url } = await claviger.createMcpServer({ name: "Cursors" });
      const client = await connect(url);
      const list = "list_all_the_auth_api_api_keys";
      const { structuredContent } = await client.callTool({
        name: list,
        arguments: { customAccountId: "borrowed-from", limit: 1 },
      });
      const args = { customAccountId: "borrowed-by", limit: 1 };
      for (const next_cursor of [structuredContent.next_cursor, "forged", "50"]) {
        assert.equal((await fail(client, list, { ...args, next_cursor })).statusCode, 400);
      }
      await client.close();
    });

    test("names with markup, ANSI, bidi, formula: inert in tools", async () => {
      const shown = "<b>=1+1</b>";
      const { id } = await createKey({ name: `\u001b[31m${shown}\u202e\u200b\u0007` });
      const { url } = await claviger.createMcpServer({ name: "Names" });
      const client = await connect(url);
      const read = await succeed(client, "get_single_the_auth_api_api_key_by_id", { id });
      assert.ok(read.name.includes(shown));
      assert.doesNotMatch(read.name, /[\u0000-\u001f\u202a-\u202e\u200b-\u200f]/);
      await client.close();
    });

    test("an id of `..` or with a `/` never changes the path", async () => {
      const { id } = await createKey();
      const { url } = await claviger.createMcpServer({ name: "Paths" });
      const client = await connect(url);
      const before = await claviger.rows();
      for (const offered of ["..", `../api-keys/${id}`, `${id}/rotate`, `${id}?x=1`, "%2e%2e"]) {
        const error = await fail(client, "delete_a_the_auth_api_api_key_by_id", { id: offered });
        assert.ok(error.statusCode >= 400 && error.statusCode < 500, offered);
      }
      assert.deepEqual(await claviger.rows(), before);
      await client.close();
    });
  });
}
