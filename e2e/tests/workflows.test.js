// What people ask agents for, as the tool calls that an agent makes: each id comes from an answer before,
// and what an agent cannot do by itself (checks of keys, a receiver, people) is done as it happens outside.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";

import { agents, fail, succeed } from "../agents.js";
import { Claviger } from "../claviger.js";

const { connect } = agents.find((agent) => agent.name === "client 2.x, auto");
const claviger = await Claviger.start({ clock: true, flags: ["--outbound-allow-private"] });
after(() => claviger.stop());
const DAY = 86_400;

/** The agent's client, with the tools of these groups and no others. */
async function agentWith(tags, config = {}) {
  // Usage is asked for until it is told.
  const whole = { tags, calls_per_minute: 1_000_000, ...config };
  const server = await claviger.createMcpServer({ name: "Workflow", config: whole });
  const client = await connect(server.url);
  after(() => client.close());
  return {
    do: (name, args) => succeed(client, name, args),
    /** A call that is refused: what the model reads. */
    refused: (name, args) => fail(client, name, args),
    /** A whole list, page by page. */
    all: async (name, args) => {
      const found = [];
      let next_cursor;
      do {
        const { structuredContent, isError, content } = await client.callTool({
          name,
          arguments: { ...args, ...(next_cursor && { next_cursor }) },
        });
        assert.ok(!isError, content[0].text);
        found.push(...structuredContent.result);
        next_cursor = structuredContent.next_cursor;
      } while (next_cursor);
      return found;
    },
  };
}

/** Checks a key as its API does, so often, and gives how many of the checks passed. */
async function check(key, times = 1, by = claviger.verifierKey) {
  const keys = (count) => Array.from({ length: count }, () => ({ key }));
  let left = times;
  let passed = 0;
  const worker = async () => {
    while (left > 0) {
      const count = Math.min(100, left);
      left -= count;
      const options = { key: by, body: { keys: keys(count) } };
      const checks = await claviger.done("POST", "/api-keys/verify/batch", options);
      passed += checks.filter((one) => one.valid).length;
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  return passed;
}

/** What these have under that name, in an order of its own: here, all is made at the same instant. */
const sorted = (objects, name) => objects.map((object) => object[name]).sort();

/** Asks again until the answer is that: usage is told within two seconds. */
async function until(ask, isIt) {
  const signal = AbortSignal.timeout(30_000);
  for (;;) {
    const answer = await ask();
    if (isIt(answer)) return answer;
    signal.throwIfAborted();
  }
}

test("a developer is provisioned: account, project, access key and invitation", async () => {
  const agent = await agentWith(["accounts", "projects", "access_keys", "invitations"]);
  const account = await agent.do("create_a_the_auth_api_account", { name: "Initech" });
  const project = await agent.do("create_a_the_auth_api_project", {
    name: "Initech's sandbox",
    accountId: account.id,
    env: "test",
  });
  const accessKey = await agent.do("create_a_the_auth_api_access_key", {
    name: "Initech's backend",
    accountId: account.id,
    projectIds: [project.id],
    role: "developer",
  });
  const invitation = await agent.do("create_a_the_auth_api_invitation", {
    email: "peter@initech.example",
    role: "developer",
    accountId: account.id,
    projectId: project.id,
  });

  // What the developer got works, and reaches nothing else.
  const made = await claviger.done("POST", "/api-keys", { key: accessKey.key, body: { name: "Peter's" } });
  assert.equal(made.projectId, project.id);
  assert.equal(await check(made.key), 0, "a verifier of another account knows the key");
  const body = { name: "Not theirs", projectId: claviger.projectId };
  const { status } = await claviger.call("POST", "/api-keys", { key: accessKey.key, body });
  assert.equal(status, 404);
  const pending = { accountId: account.id, status: "pending" };
  const [asked] = await agent.all("list_all_the_auth_api_invitations", pending);
  assert.deepEqual([asked.id, asked.email], [invitation.id, "peter@initech.example"]);
});

test("usage is audited, and who made more than 50,000 requests is revoked", async () => {
  const agent = await agentWith(["projects", "api_keys", "analytics"]);
  const { accountId } = claviger;
  const [{ id: projectId }] = await agent.do("list_all_the_auth_api_projects", { accountId });
  const create = (name) => agent.do("create_a_the_auth_api_api_key", { name, projectId });
  const [heavy, light] = [await create("Heavy"), await create("Light")];
  await create("Idle");
  assert.equal(await check(heavy.key, 50_100), 50_100);
  assert.equal(await check(light.key, 300), 300);

  const totals = { projectId, dateGrouping: "month", sort: "-total" };
  const used = await until(
    () => agent.all("list_all_the_auth_api_analytics_api_key_totals", totals),
    (rows) => rows.some((row) => row.total === 50_100) && rows.some((row) => row.total === 300),
  );
  const over = used.filter((row) => row.total > 50_000);
  assert.deepEqual(over.map((row) => row.id), [heavy.id]);
  for (const row of over) {
    await agent.do("delete_a_the_auth_api_api_key_by_id", { id: row.id, reason: "other" });
  }
  assert.equal(await check(heavy.key), 0);
  assert.equal(await check(light.key), 1);
  const explained = await agent.do("get_single_the_auth_api_api_keys_auth_by_id", { id: heavy.id });
  assert.equal(explained.code, "REVOKED");
});

test("the keys of one user are rotated, found by the user's own id", async () => {
  const agent = await agentWith(["api_keys"]);
  const of = (customUserId, name) =>
    agent.do("create_a_the_auth_api_api_key", { name, projectId: claviger.projectId, customUserId });
  const before = [await of("user-17", "Laptop"), await of("user-17", "Phone")];
  const other = await of("user-18", "Somebody else's");

  const found = await agent.all("list_all_the_auth_api_api_keys", { customUserId: "user-17", isActive: true });
  assert.deepEqual(sorted(found, "id"), sorted(before, "id"));
  const rotated = [];
  for (const { id } of found) rotated.push(await agent.do("create_a_the_auth_api_api_key_rotate", { id }));

  for (const { key } of before) assert.equal(await check(key), 0);
  for (const { key } of [...rotated, other]) assert.equal(await check(key), 1);
  const after = await agent.all("list_all_the_auth_api_api_keys", { customUserId: "user-17", isActive: true });
  assert.deepEqual(sorted(after, "id"), sorted(rotated, "id"));
  assert.deepEqual(sorted(after, "name"), ["Laptop", "Phone"]);
});

test("usage is reported by day", async () => {
  const agent = await agentWith(["projects", "api_keys", "analytics"]);
  const { accountId } = claviger;
  const project = await agent.do("create_a_the_auth_api_project", { name: "Reported", accountId });
  const { key } = await agent.do("create_a_the_auth_api_api_key", {
    name: "Daily",
    projectId: project.id,
    customAccountId: "acme",
  });
  const perDay = [7, 0, 12];
  for (const times of perDay) {
    assert.equal(await check(key, times, claviger.accessKey), times);
    await claviger.advance(DAY);
  }

  const report = { projectId: project.id, dateGrouping: "day", customAccountId: "acme" };
  const days = await until(
    () => agent.all("list_all_the_auth_api_analytics_project_totals", report),
    (rows) => rows.reduce((sum, row) => sum + row.total, 0) === 19,
  );
  const last = days.slice(-4);
  assert.deepEqual(last.map((row) => row.total), [...perDay, 0]);
  for (const [earlier, later] of last.slice(1).map((row, index) => [last[index], row])) {
    assert.equal(new Date(later.date) - new Date(earlier.date), DAY * 1000);
  }
});

describe("a webhook", () => {
  let receiver;
  let url;
  before(async () => {
    receiver = createServer((request, response) => {
      request.resume();
      receiver.emit("asked", request.url);
      response.writeHead(request.url === "/new" ? 204 : 410).end();
    });
    receiver.listen(0, "127.0.0.1");
    await once(receiver, "listening");
    url = `http://127.0.0.1:${receiver.address().port}`;
  });
  after(() => receiver.close());

  test("that nothing comes from is looked at, mended and tried", async () => {
    const agent = await agentWith(["projects", "webhooks", "api_keys"]);
    const { accountId, projectId } = claviger;
    const topics = await agent.do("list_all_the_auth_api_webhooks_topics");
    assert.ok(JSON.stringify(topics).includes("api-key.created"));
    const of = { accountId, projectId, topic: "api-key.created" };
    await agent.do("create_a_the_auth_api_webhook", { ...of, url: `${url}/old` });

    const [{ id }] = await agent.all("list_all_the_auth_api_webhooks", of);
    const failed = await agent.do("create_a_the_auth_api_webhooks_ping", { id });
    assert.deepEqual([failed.success, failed.statusCode], [false, 410]);
    await agent.do("update_a_the_auth_api_webhook_by_id", { id, url: `${url}/new`, status: "live" });
    const tried = await agent.do("create_a_the_auth_api_webhooks_ping", { id });
    assert.deepEqual([tried.success, tried.statusCode], [true, 204]);

    const delivered = once(receiver, "asked");
    await agent.do("create_a_the_auth_api_api_key", { name: "Told of", projectId });
    assert.deepEqual(await delivered, ["/new"]);
    assert.equal((await agent.do("get_single_the_auth_api_webhook_by_id", { id })).status, "live");
  });
});

test("roles are audited: who holds too much holds less", async () => {
  const agent = await agentWith(["accounts", "users"]);
  const { accountId } = claviger;
  const join = async (email, role) => {
    const body = { email, role, accountId };
    const { link } = await claviger.done("POST", "/invitations", { key: claviger.operatorKey, body });
    const invitationId = new URL(link).searchParams.get("token");
    const person = { email, password: "correct horse battery", name: email, invitationId };
    const { status } = await claviger.call("POST", "/auth/signup", { key: undefined, body: person });
    assert.equal(status, 201);
  };
  await join("boss@acme.example", "owner");
  await join("intern@acme.example", "admin");
  await join("gone@acme.example", "developer");

  const roles = await agent.do("list_all_the_auth_api_user_roles", {});
  assert.ok(JSON.stringify(roles).includes("analyst"));
  const held = async () => {
    const teammates = await agent.all("list_all_the_auth_api_teammates", { accountId });
    return Object.fromEntries(teammates.map((mate) => [mate.email, mate]));
  };
  const mates = await held();
  const id = (email) => mates[email].userId;
  await agent.do("update_a_the_auth_api_user_role_by_id", {
    id: id("intern@acme.example"),
    role: "viewer",
    accountId,
  });
  await agent.do("delete_a_the_auth_api_user_role_by_id", { id: id("gone@acme.example"), accountId });
  const after = await held();
  assert.equal(after["intern@acme.example"].role, "viewer");
  assert.equal(after["gone@acme.example"], undefined);
  assert.equal(after["boss@acme.example"].role, "owner");
});

test("a key is reactivated once its bill is paid, and one that was compromised is not", async () => {
  const agent = await agentWith(["api_keys"]);
  const create = (name) =>
    agent.do("create_a_the_auth_api_api_key", { name, projectId: claviger.projectId, customAccountId: "unpaid" });
  const revoke = (id, reason) => agent.do("delete_a_the_auth_api_api_key_by_id", { id, reason });
  const [unpaid, leaked] = [await create("Unpaid"), await create("Leaked")];
  await revoke(unpaid.id, "billing");
  await revoke(leaked.id, "compromised");
  assert.equal(await check(unpaid.key), 0);

  const off = await agent.all("list_all_the_auth_api_api_keys", { customAccountId: "unpaid", isActive: false });
  assert.deepEqual(sorted(off, "name"), ["Leaked", "Unpaid"]);
  const { id } = off.find((key) => key.name === "Unpaid");
  await agent.do("update_a_the_auth_api_api_key_reactivate_by_id", { id });
  assert.equal(await check(unpaid.key), 1);

  const refusal = await agent.refused("update_a_the_auth_api_api_key_reactivate_by_id", { id: leaked.id });
  assert.equal(refusal.statusCode, 409);
  assert.match(refusal.message, /compromised/);
});
