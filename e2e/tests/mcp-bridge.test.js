// `claviger mcp bridge`, started by the official clients as they start any program that they are configured
// with, and by a shell.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { after, describe, test } from "node:test";

import { bridged, fail, succeed } from "../agents.js";
import { Claviger, program } from "../claviger.js";

const claviger = await Claviger.start();
after(() => claviger.stop());
const { projectId } = claviger;

const CREATE = "create_a_the_auth_api_api_key";
const READ = "get_single_the_auth_api_api_key_by_id";

for (const { name, connect } of bridged) {
  describe(name, () => {
    async function connected(context, config, environment = {}) {
      const { url } = await claviger.createMcpServer({ name: context.name, config });
      const client = await connect({ CLAVIGER_MCP_URL: url, ...environment });
      context.after(() => client.close());
      return client;
    }

    test("lists and calls tools", async (context) => {
      const client = await connected(context);
      const { tools } = await client.listTools();
      assert.ok(tools.some((tool) => tool.name === CREATE));
      const created = await succeed(client, CREATE, { name: "Bridged", projectId });
      assert.equal((await succeed(client, READ, { id: created.id })).name, "Bridged");
      assert.equal((await fail(client, READ, { id: "key_0000000000000000" })).statusCode, 404);
    });

    test("keeps many calls in flight, each with its own answer", async (context) => {
      const client = await connected(context);
      const names = Array.from({ length: 30 }, (_, at) => `Parallel ${at}`);
      const created = await Promise.all(names.map((name) => succeed(client, CREATE, { name, projectId })));
      assert.deepEqual(created.map((key) => key.name), names);
    });

    test("sends the second credential from the environment", async (context) => {
      const config = { require_api_token_auth: true };
      await assert.rejects(connected(context, config));
      const client = await connected(context, config, { CLAVIGER_ACCESS_KEY: claviger.accessKey });
      assert.ok((await client.listTools()).tools.length > 0);
    });
  });
}

/** A bridge as a program's pipes show it. */
function bridge(context, url, args = []) {
  const environment = { PATH: process.env.PATH, CLAVIGER_MCP_URL: url };
  const child = spawn(program, ["mcp", "bridge", ...args], { env: environment });
  context.after(() => child.kill());
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (complaint += text));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    send: (...messages) => child.stdin.write(messages.map((one) => `${JSON.stringify(one)}\n`).join("")),
    next: async () => JSON.parse((await lines.next()).value),
    ended: once(child, "close").then(([code]) => ({ code, complaint })),
  };
}

const ping = (id) => ({ jsonrpc: "2.0", id, method: "ping" });

test("ends cleanly with its input, and answers what was asked before", async (context) => {
  const { url } = await claviger.createMcpServer({ name: "Piped" });
  const { child, send, next, ended } = bridge(context, url);
  send(ping("a"), { jsonrpc: "2.0", method: "notifications/initialized" }, ping(2));
  child.stdin.end();
  const answers = [await next(), await next()];
  assert.deepEqual(new Set(answers.map(({ id }) => id)), new Set(["a", 2]));
  assert.deepEqual(await ended, { code: 0, complaint: "" });
});

test("ends cleanly when nobody reads its answers", async (context) => {
  const { url } = await claviger.createMcpServer({ name: "Unread" });
  const { child, send, ended } = bridge(context, url);
  child.stdout.destroy();
  send(ping(1));
  assert.deepEqual(await ended, { code: 0, complaint: "" });
});

test("a failure is an error with the id of the request, and a sentence", async (context) => {
  const token = `clvmcp_${"a".repeat(43)}`;
  const { child, send, next, ended } = bridge(context, `${claviger.url}/mcp/${token}`);
  send(ping("mine"));
  const { id, error } = await next();
  assert.equal(id, "mine");
  assert.equal(error.code, -32603);
  assert.equal(error.data.status, 401);
  child.stdin.write("{\n");
  const unread = await next();
  assert.deepEqual([unread.id, unread.error.code], [null, -32700]);
  child.stdin.end();
  const { code, complaint } = await ended;
  assert.equal(code, 0);
  assert.match(complaint, /401/);
  assert.ok(!complaint.includes(token));
});

test("a server that is away is an error, and is asked again with the next message", async (context) => {
  // Its port is free, and whoever holds it later answers.
  const placeholder = createServer();
  placeholder.listen(0, "127.0.0.1");
  await once(placeholder, "listening");
  const { port } = placeholder.address();
  placeholder.close();
  await once(placeholder, "close");
  const { child, send, next, ended } = bridge(context, `http://127.0.0.1:${port}/mcp/clvmcp_x`);
  send(ping(1));
  assert.match((await next()).error.message, /cannot be reached/);
  const server = createServer((request, response) => {
    request.resume();
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ jsonrpc: "2.0", id: 2, result: {} }, null, 2));
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  send(ping(2));
  assert.deepEqual(await next(), { jsonrpc: "2.0", id: 2, result: {} });
  child.stdin.end();
  assert.equal((await ended).code, 0);
  server.close();
});

test("a call that is cancelled lets go of its connection", async (context) => {
  const server = createServer();
  context.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}/mcp/clvmcp_x`;
  const { child, send, ended } = bridge(context, url);
  const asked = once(server, "request");
  send(ping("slow"));
  const [request, response] = await asked;
  request.resume();
  const gone = once(response, "close");
  const params = { requestId: "slow" };
  send({ jsonrpc: "2.0", method: "notifications/cancelled", params });
  await gone;
  child.stdin.end();
  assert.deepEqual(await ended, { code: 0, complaint: "" });
});
