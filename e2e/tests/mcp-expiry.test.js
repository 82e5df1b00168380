// A server's expiry, on the test build whose clock is moved by the tests.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { agents, refusedWith } from "../agents.js";
import { Claviger } from "../claviger.js";

const claviger = await Claviger.start({ clock: true });
after(() => claviger.stop());

/** The instant `seconds` ahead on the program's own clock, which an answer's date tells. */
async function ahead(seconds) {
  const { createdAt } = await claviger.done("POST", "/api-keys", {
    body: { name: "What time is it?", projectId: claviger.projectId },
  });
  return new Date(Date.parse(createdAt) + seconds * 1000).toISOString();
}

for (const { name, connect } of agents) {
  describe(name, () => {
    test("from its expiry on a server refuses, also a client that is connected", async (context) => {
      const expires_at = await ahead(120);
      const { url } = await claviger.createMcpServer({ name: "Short-lived", expires_at });
      const client = await connect(url);
      context.after(() => client.close());

      await claviger.advance(119);
      await client.listTools();
      await claviger.advance(1);
      assert.equal(await refusedWith(client.callTool({ name: "x", arguments: {} })), 401);
      assert.equal(await refusedWith(connect(url)), 401);
    });
  });
}

test("an expiry less than a minute ahead is refused", async () => {
  const { status } = await claviger.call(
    "POST",
    `/integrated-account/${claviger.integratedAccountId}/mcp`,
    { body: { name: "Too short", expires_at: await ahead(59) } },
  );
  assert.equal(status, 400);
});
