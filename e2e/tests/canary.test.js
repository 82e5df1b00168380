// One canary of every kind of secret, sent every way there is, errors too; then the log and the
// database files are searched for them. (Every other test file searches for their shapes at its end.)

import assert from "node:assert/strict";
import { once } from "node:events";
import { watch } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";

import { agents, fail, succeed } from "../agents.js";
import { Claviger } from "../claviger.js";
import { versions } from "../published.js";

/** Where mails are files. */
const outboxOf = (claviger) => join(claviger.directory, "outbox");

/** The first of what a mail has that matches, as soon as there is one. */
async function mailed(claviger, pattern) {
  const signal = AbortSignal.timeout(30_000);
  const watcher = watch(claviger.directory, { recursive: true });
  try {
    for (;;) {
      const changed = once(watcher, "change", { signal });
      changed.catch(() => {});
      const names = await readdir(outboxOf(claviger)).catch(() => []);
      for (const name of names.filter((name) => !name.startsWith("."))) {
        const mail = await readFile(join(outboxOf(claviger), name), "utf8");
        const found = pattern.exec(mail.replaceAll("=\r\n", "").replaceAll("=3D", "="));
        if (found) return found[0];
      }
      await changed;
    }
  } finally {
    watcher.close();
  }
}

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

// What people sign in with: each in a body, in the URL of a page, in an error, and, in the end, over.
test("canary secrets of people: absent from logs and database", async () => {
  const claviger = await Claviger.start({ flags: ["--signup", "open"] });
  after(() => claviger.stop());
  const canaries = [];
  const sing = (secret) => {
    canaries.push(secret);
    return secret;
  };
  const email = "canary@example.com";
  const auth = (path, body) => claviger.call("POST", `/auth/${path}`, { key: null, body });
  const singTokens = ({ body }) => {
    assert.ok(body.access_token, JSON.stringify(body));
    sing(body.access_token);
    return sing(body.refresh_token);
  };

  const password = sing("correct-canary-battery");
  singTokens(await auth("signup", { email, password, name: "Canary Hopper" }));
  const refresh = singTokens(await auth("login", { email, password }));
  const wrong = await auth("login", { email, password: sing("wrong-canary-battery") });
  assert.equal(wrong.status, 401);
  singTokens(await auth("refresh-access-token", { refresh_token: refresh }));
  assert.equal((await auth("refresh-access-token", { refresh_token: [refresh] })).status, 400);

  const operator = { key: claviger.operatorKey };
  const invitation = { email: "other@example.com", role: "viewer", accountId: claviger.accountId };
  const made = await claviger.done("POST", "/invitations", { ...operator, body: invitation });
  const links = [["accept-invitation", sing(new URL(made.link).searchParams.get("token"))]];
  await auth("email-otc", { email });
  const code = sing(await mailed(claviger, /^\d{8}(?=\r?$)/m));
  links.push(["sign-in", sing(await mailed(claviger, /signin_[A-Za-z0-9]{43}/))]);
  await auth("password-reset", { email });
  links.push(["reset-password", sing(await mailed(claviger, /reset_[A-Za-z0-9]{43}/))]);
  for (const [page, token] of links) {
    for (const path of [page, `no-such-page/${token}`, `auth/${page}`]) {
      const answer = await fetch(`${claviger.url}/${path}?token=${token}`);
      await answer.text();
    }
  }
  const [, signIn] = links[1];
  const [, reset] = links[2];
  assert.equal((await auth("validate-login-code", { code: [signIn] })).status, 400);
  singTokens(await auth("validate-login-code", { code, email }));
  assert.equal((await auth("validate-login-code", { code: signIn })).status, 401);
  const other = sing("another-canary-battery");
  assert.equal((await auth("password-reset", { token: reset, newPassword: other })).status, 201);
  assert.equal((await auth("password-reset", { token: reset, newPassword: other })).status, 401);

  await claviger.end();
  // Digits are anywhere; as the code of a mail they stand alone.
  const patterns = canaries.map((canary) => new RegExp(`(?<![A-Za-z0-9])${canary}(?![A-Za-z0-9])`));
  assert.deepEqual(await claviger.places(patterns), []);
  assert.notDeepEqual(await claviger.places([/Canary Hopper/]), []);
  // Mails are files for their owner alone.
  for (const name of ["outbox", ...(await readdir(outboxOf(claviger))).map((name) => `outbox/${name}`)]) {
    const { mode } = await stat(join(claviger.directory, name));
    assert.equal(mode & 0o077, 0, name);
  }
});

test("the password of a mail server: absent from the log, also when mail fails", async () => {
  const url = "smtps://canary:sung-to-a-mail-server@127.0.0.1:1";
  const from = ["--mail-from", "keys@example.com", "--public-url", "https://keys.example.com"];
  const claviger = await Claviger.start({ flags: ["--mail-url", url, ...from] });
  after(() => claviger.stop());
  const body = { email: "ada@example.com", role: "viewer" };
  await claviger.done("POST", "/invitations", { body });
  await claviger.logged("a mail is not taken");
  await claviger.end();
  assert.deepEqual(await claviger.places([/sung-to-a-mail-server/]), []);
});
