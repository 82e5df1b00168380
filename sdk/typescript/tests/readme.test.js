// The examples of the README, and those of the guide that put a URL into a framework.

import assert from "node:assert/strict";
import { test } from "node:test";

import { examplesOf, run } from "./examples.js";
import { CHECK, LIST, startClaviger, usedUpKey } from "./gateway.js";

const claviger = await startClaviger();
const { markdown, examples } = await examplesOf("../README.md");
const guide = await examplesOf("../../../docs/agents.md");

Object.assign(process.env, { CLAVIGER_URL: claviger.url, CLAVIGER_ACCESS_KEY: claviger.accessKey });
globalThis.accountId = claviger.integratedAccountId;
const body = { name: "Acme's key", projectId: claviger.projectId, customAccountId: "acme" };
await claviger.done("POST", "/api-keys", { body });

const steps = [
  [LIST, { customAccountId: "acme" }],
  (messages) => (JSON.stringify(messages.at(-1)).includes("Acme's key") ? "Acme's key" : "none"),
];

test("there is one for each entry, and no other code in the README", () => {
  assert.deepEqual(examples.map((example) => example.kind), ["langchain", "langchain", "ai", "plain"]);
  assert.equal(markdown.match(/^```/gm).length, 2 * examples.length);
  assert.deepEqual(guide.examples.map((example) => example.kind), ["langchain-mcp", "ai-mcp"]);
});

examples.forEach(({ kind, text }, index) => {
  test(`example ${index + 1} of the README, ${kind}, works`, async (context) => {
    assert.deepEqual(await run(context, text, steps), ["Acme's key"]);
  });

  if (kind === "plain") return;
  test(`example ${index + 1} of the README, ${kind}, catches 429`, async (context) => {
    const key = await usedUpKey(claviger);
    const printed = await run(context, text, [[CHECK, { key }], "Sorry"]);
    assert.match(printed.at(-1), /^Come back in \d+ seconds$/);
  });
});

for (const { kind, text } of guide.examples) {
  test(`the guide's example ${kind} works with nothing but a URL and a second credential`, async (context) => {
    const config = { methods: ["read"], tags: ["api_keys"], require_api_token_auth: true };
    globalThis.url = (await claviger.createMcpServer({ name: kind, config })).url;
    globalThis.accessKey = claviger.accessKey;
    assert.deepEqual(await run(context, text, steps), ["Acme's key"]);
  });
}
