// One canary of every kind of secret, sent every way there is, errors too; then the log and the
// database files are searched for them. (Every other test file searches for their shapes at its end.)

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { agents, fail, succeed } from "../agents.js";
import { Claviger } from "../claviger.js";
import { versions } from "../published.js";

test("canary secrets through the whole e2e, 404s and errors too: absent from logs and database", async () => {
  const claviger = await Claviger.start();
  after(() => claviger.stop());
  const { projectId, accountId, verifierKey } = claviger;
  const canaries = [claviger.accessKey, verifierKey, claviger.operatorKey];
  const sing = (key) => {
    canaries.push(key);
    return key;
  };

  for (const { connect, hasRotate } of versions) {
    const client = connect(claviger);
    const created = await client.apiKeys.createKey({ name: "Canary Ada", projectId });
    const custom = `custom-key-of-a-canary-${hasRotate}`;
    await client.apiKeys.createKey({ name: "Canary Grace", projectId, key: sing(custom) });
    for (const key of [sing(created.key), custom]) {
      assert.equal(await client.apiKeys.isValidKey(key), true);
      await client.apiKeys.getKey(key);
      await client.apiKeys.updateKey(key, { name: "Canary" });
      await client.authenticateAPIKey(key);
    }
    await client.apiKeys.deleteKey(created.key);
    assert.equal(await client.apiKeys.isValidKey(created.key), false);
    assert.equal(await client.apiKeys.isValidKey(sing(`live_${"c".repeat(64)}`)), false);
    assert.equal(await client.apiKeys.isValidKey(sing("typed-by-somebody-else")), false);
  }

  const access = { name: "Canary", accountId, role: "developer" };
  const accessKey = await claviger.done("POST", "/access-keys", { body: access });
  sing(accessKey.key);
  for (const [method, path] of [
    ["GET", `/api-keys/auth/${accessKey.key}`],
    ["GET", `/api-keys/auth?key=${accessKey.key}`],
    ["GET", `/access-keys/${accessKey.key}`],
    ["PATCH", `/access-keys/${accessKey.key}`],
    ["GET", `/no-such-page/${accessKey.key}?key=${accessKey.key}`],
    ["PUT", `/api-keys/${accessKey.key}`],
    ["POST", `/api-keys/auth/${accessKey.key}/..`],
  ]) {
    await claviger.call(method, path, { key: accessKey.key });
  }
  await claviger.call("GET", "/api-keys", { key: sing(`live_access_${"d".repeat(64)}`) });
  await claviger.call("POST", "/api-keys/verify", { body: { key: sing("sent-in-a-body"), cost: -1 } });
  await claviger.call("POST", "/api-keys", {
    body: { name: 7, key: sing("refused-with-its-body"), projectId },
    headers: { "idempotency-key": "canary" },
  });
  const remembered = await claviger.done("POST", "/api-keys", {
    body: { name: "Canary", projectId },
    headers: { "idempotency-key": "remembered" },
  });
  sing(remembered.key);

  const repeated = await claviger.done("POST", "/api-keys", {
    body: { name: "Canary", projectId },
    headers: { "idempotency-key": "remembered" },
  });
  assert.equal(repeated.key, remembered.key);

  // Kept in the database, and read back from there; sealed all the while.
  const operator = { key: claviger.operatorKey };
  await claviger.done("PATCH", `/projects/${projectId}`, { ...operator, body: { keyStorage: "recoverable" } });
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const grant = { accessKeyId: accessKey.id, expiresAt };
  await claviger.done("POST", `/projects/${projectId}/reveal-grants`, { ...operator, body: grant });
  for (const key of [undefined, "custom-key-of-a-canary-that-is-kept"]) {
    const kept = await claviger.done("POST", "/api-keys", { body: { name: "Canary", projectId, key } });
    sing(kept.key);
    const rotated = await claviger.done("POST", `/api-keys/${kept.id}/rotate`, { body: { gracePeriod: 60 } });
    sing(rotated.key);
    for (const one of [kept, rotated]) {
      const read = await claviger.done("GET", `/api-keys/${one.id}`, { key: accessKey.key });
      assert.equal(read.key, one.key);
    }
  }
  await claviger.done("GET", "/api-keys", { key: accessKey.key });

  for (const { connect } of agents) {
    const server = await claviger.createMcpServer({ name: "Canary" });
    sing(new URL(server.url).pathname.split("/").at(-1));
    const client = await connect(server.url);
    const made = await succeed(client, "create_a_the_auth_api_api_key", { name: "Canary", projectId });
    sing(made.key);
    await succeed(client, "list_all_the_auth_api_api_keys_auths", { key: made.key });
    await fail(client, "get_single_the_auth_api_api_key_by_id", { id: sing("typed-to-an-agent") });
    await fail(client, "no_such_tool", { key: made.key });
    const rotated = await succeed(client, "create_a_the_auth_api_api_key_rotate", { id: made.id });
    sing(rotated.key);
    await client.close();
    await claviger.call("POST", new URL(`${server.url}/more`).pathname, { body: {} });
    await claviger.call("GET", new URL(server.url).pathname);
  }

  await claviger.end();
  const patterns = canaries.map((canary) => new RegExp(canary));
  assert.deepEqual(await claviger.places(patterns), []);
  // The search would find what is there.
  assert.notDeepEqual(await claviger.places([/Canary Grace/]), []);
});
