// The official MCP clients over nothing but a URL: the tools are there, within the filter, and run.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { agents, fail, refusedWith, succeed } from "../agents.js";
import { Claviger } from "../claviger.js";

const claviger = await Claviger.start();
after(() => claviger.stop());
const { projectId } = claviger;

const CREATE = "create_a_the_auth_api_api_key";
const READ = "get_single_the_auth_api_api_key_by_id";
const CHECK = "get_single_the_auth_api_api_keys_auth_by_id";
const ROTATE = "create_a_the_auth_api_api_key_rotate";
const REVOKE = "delete_a_the_auth_api_api_key_by_id";

const names = ({ tools }) => tools.map((tool) => tool.name);

for (const { name, connect } of agents) {
  describe(name, () => {
    /** Makes a server and connects to it; the client is closed with the test. */
    async function connected(context, config) {
      const server = await claviger.createMcpServer({ name: context.name, config });
      const client = await connect(server.url);
      context.after(() => client.close());
      return { client, server };
    }

    test("lists every tool of the connected account, described and hinted", async (context) => {
      const { client } = await connected(context);
      const { tools } = await client.listTools();
      const path = `/integrated-account/${claviger.integratedAccountId}/tools`;
      const { result } = await claviger.done("GET", path);
      assert.deepEqual(tools.map((tool) => tool.name).sort(), result.map((tool) => tool.name).sort());
      for (const tool of tools) {
        assert.ok(tool.title, `${tool.name} has a title`);
        assert.ok(tool.description, `${tool.name} has a description`);
        assert.equal(tool.inputSchema.type, "object");
        const hints = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"];
        assert.deepEqual(hints.map((hint) => typeof tool.annotations[hint]), Array(4).fill("boolean"));
      }
    });

    test("lists only what a filter by methods and tags leaves", async (context) => {
      const { client } = await connected(context, { methods: ["read"], tags: ["projects"] });
      assert.deepEqual(names(await client.listTools()).sort(), [
        "get_single_the_auth_api_project_by_id",
        "list_all_the_auth_api_projects",
      ]);
    });

    test("a tool outside the filter is refused, and the nearest one named", async (context) => {
      const { client } = await connected(context, { methods: ["read"], tags: ["api_keys"] });
      const error = await fail(client, CREATE, { name: "Ada", projectId });
      assert.match(error.message, /_the_auth_api_api_key/);
      const listed = await claviger.done("GET", `/api-keys?name=${encodeURIComponent("Ada")}`);
      assert.deepEqual(listed, []);
    });

    test("creates a key, checks it by its id, rotates and revokes it", async (context) => {
      const { client } = await connected(context, { methods: ["read", "write"], tags: ["api_keys"] });

      const created = await succeed(client, CREATE, { name: `Made by ${name}`, projectId });
      assert.match(created.key, /^live_[A-Za-z0-9]{64}$/);
      assert.equal((await authenticate(created.key)).status, 200);
      assert.match((await succeed(client, READ, { id: created.id })).key, /\*{9}$/);
      assert.equal((await succeed(client, CHECK, { id: created.id })).wouldAnswer, 200);

      const rotated = await succeed(client, ROTATE, { id: created.id });
      assert.equal((await authenticate(created.key)).status, 404);
      assert.equal((await authenticate(rotated.key)).status, 200);

      await succeed(client, REVOKE, { id: rotated.id });
      assert.equal((await authenticate(rotated.key)).status, 404);
      const check = await succeed(client, CHECK, { id: rotated.id });
      assert.equal(check.wouldAnswer, 404);
      assert.equal(check.code, "REVOKED");
    });

    test("asking about a key neither counts nor is its first use", async (context) => {
      const { client } = await connected(context);
      const rateLimitConfigs = { rateLimit: 1, rateLimitTtl: 60 };
      const created = await succeed(client, CREATE, { name: "Limited", projectId, rateLimitConfigs });
      await succeed(client, CHECK, { id: created.id });
      await succeed(client, "list_all_the_auth_api_api_keys_auths", { key: created.key });
      assert.equal((await succeed(client, READ, { id: created.id })).firstUsedAt, null);
      assert.equal((await authenticate(created.key)).status, 200);
    });

    test("the structured result and the text say the same", async (context) => {
      const { client } = await connected(context);
      const answer = await client.callTool({
        name: "list_all_the_auth_api_projects",
        arguments: { accountId: claviger.accountId },
      });
      assert.deepEqual(JSON.parse(answer.content[0].text), answer.structuredContent);
      assert.equal(answer.structuredContent.result[0].id, projectId);
      assert.equal(answer.structuredContent.result_count, 1);
    });

    test("a tool is found, described and called through three tools", async (context) => {
      const { client } = await connected(context, { tool_exposure: "discovery" });
      const { tools } = await client.listTools();
      assert.deepEqual(names({ tools }), ["search_tools", "get_tool_schema", "call_tool"]);
      const found = await succeed(client, "search_tools", { query: "create an API key" });
      assert.ok(found.some((tool) => tool.name === CREATE));
      const described = await succeed(client, "get_tool_schema", { name: CREATE });
      assert.ok("name" in described.inputSchema.properties);
      const call = { name: CREATE, arguments: { name: "Found", projectId } };
      assert.equal((await succeed(client, "call_tool", call)).name, "Found");
    });

    test("a sealed secret can be checked and is not seen", async (context) => {
      const { client } = await connected(context, { secrets: "seal" });
      const created = await succeed(client, CREATE, { name: "Sealed", projectId });
      assert.deepEqual(Object.keys(created.key).sort(), ["expires_at", "reveal_url", "sealed"]);
      const key = created.key.sealed;
      const checked = await succeed(client, "list_all_the_auth_api_api_keys_auths", { key });
      assert.equal(checked.id, created.id);
      const refused = await fail(client, CREATE, { name: key, projectId });
      assert.equal(refused.code, "sealed_not_accepted");
    });

    test("an upstream error is a result that the model can read", async (context) => {
      const { client } = await connected(context);
      const error = await fail(client, READ, { id: "key_0000000000000000" });
      assert.equal(error.statusCode, 404);
      assert.equal(error.is_remote_error, true);
    });

    test("an unknown argument is refused, and the known ones named", async (context) => {
      const { client } = await connected(context);
      const error = await fail(client, CREATE, { nmae: "Ada", projectId });
      assert.match(error.message, /name/);
    });

    test("a list is paged by its cursor", async (context) => {
      const { client } = await connected(context);
      const customAccountId = `paged-${name.replaceAll(/[ .,]/g, "-")}`;
      for (const key of ["one", "two", "three"]) {
        await succeed(client, CREATE, { name: key, projectId, customAccountId });
      }
      const list = (args) =>
        client.callTool({
          name: "list_all_the_auth_api_api_keys",
          arguments: { customAccountId, limit: 2, ...args },
        });
      const { structuredContent: first } = await list();
      assert.deepEqual(first.result.map((key) => key.name), ["one", "two"]);
      const { structuredContent: second } = await list({ next_cursor: first.next_cursor });
      assert.deepEqual(second.result.map((key) => key.name), ["three"]);
      assert.equal(second.next_cursor ?? null, null);
    });

    test("a deleted server refuses at once", async (context) => {
      const { client, server } = await connected(context);
      await client.listTools();
      const path = `/integrated-account/${claviger.integratedAccountId}/mcp/${server.id}`;
      await claviger.done("DELETE", path);
      assert.equal(await refusedWith(client.callTool({ name: READ, arguments: { id: "x" } })), 401);
      assert.equal(await refusedWith(connect(server.url)), 401);
    });

    test("a server that asks for a second credential refuses without it", async () => {
      const config = { require_api_token_auth: true };
      const { url } = await claviger.createMcpServer({ name: "Guarded", config });
      assert.equal(await refusedWith(connect(url)), 401);
      const bearer = (key) => ({ authorization: `Bearer ${key}` });
      assert.equal(await refusedWith(connect(url, bearer(claviger.verifierKey))), 401);

      for (const headers of [bearer(claviger.accessKey), { "x-api-key": claviger.accessKey }]) {
        const client = await connect(url, headers);
        assert.ok(names(await client.listTools()).includes(CREATE));
        await client.close();
      }
    });

    test("a token that nobody was given refuses", async () => {
      const url = `${claviger.url}/mcp/clvmcp_${"a".repeat(43)}`;
      assert.equal(await refusedWith(connect(url)), 401);
    });
  });
}

function authenticate(key) {
  return claviger.call("POST", `/api-keys/auth/${key}`, { key: claviger.verifierKey });
}
