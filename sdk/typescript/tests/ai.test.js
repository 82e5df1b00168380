// The tools in the Vercel AI SDK.

import assert from "node:assert/strict";
import { test } from "node:test";

import { generateText, stepCountIs } from "ai";

import { getTools, ToolManager } from "@claviger/toolset/ai";

import { CHECK, connection, CREATE, LIST, ROTATE, startClaviger, usedUpKey } from "./gateway.js";
import { scriptedModel } from "./scripted.js";

const claviger = await startClaviger();
const { integratedAccountId: account, projectId } = claviger;
const manager = new ToolManager(connection(claviger));

function run(steps, tools, options = {}) {
  const model = scriptedModel(steps);
  return generateText({ model, tools, prompt: "Go", stopWhen: stepCountIs(10), maxRetries: 0, ...options });
}

/** What the last tool answered, as the model reads it. */
const output = (prompt) => prompt.at(-1).content[0].output;

test("the tools are there by their names, and a filter leaves some", async () => {
  const filter = { methods: ["list"], tags: ["api_keys"] };
  for (const tools of [
    await manager.getTools(account, filter),
    await getTools(account, { ...connection(claviger), ...filter }),
  ]) {
    assert.deepEqual(Object.keys(tools).sort(), [LIST, CHECK].sort());
  }
});

test("a model makes a key, finds it page by page and rotates it", async () => {
  const of = "agent-ai";
  const seen = [];
  const list = (args) => [LIST, { customAccountId: of, limit: 1, ...args }];
  const steps = [
    [CREATE, { name: "first", projectId, customAccountId: of }],
    [CREATE, { name: "second", projectId, customAccountId: of }],
    list(),
    (prompt) => {
      const page = output(prompt).value;
      seen.push(...page.result);
      return list({ next_cursor: page.next_cursor });
    },
    (prompt) => {
      seen.push(...output(prompt).value.result);
      return [ROTATE, { id: seen[1].id }];
    },
    (prompt) => `Rotated ${output(prompt).value.result.name}`,
  ];
  const { text } = await run(steps, await manager.getTools(account));
  assert.equal(text, "Rotated second");
  assert.deepEqual(seen.map((key) => key.name), ["first", "second"]);
});

test("a refusal is told to the model, and kept for the program with its headers", async () => {
  const key = await usedUpKey(claviger);
  const steps = [
    [CREATE, { nmae: "Ada" }],
    (prompt) => {
      assert.match(output(prompt).value, /did you mean `name`/);
      return [CHECK, { key }];
    },
    (prompt) => output(prompt).value,
  ];
  const result = await run(steps, await manager.getTools(account));
  assert.match(result.text, /429: .*try again in \d+ s/i);
  const failed = result.steps.flatMap((step) => step.content).filter((part) => part.type === "tool-error");
  assert.deepEqual(failed.map((part) => part.error.response.status), [400, 429]);
  assert.ok(Number(failed[1].error.response.headers.get("ratelimit-reset")) > 0);
});

test("an access key that has ended is told of, and not repeated", async () => {
  const body = { name: "Ended", accountId: claviger.accountId };
  const made = await claviger.done("POST", "/access-keys", { body });
  const tools = await getTools(account, { ...connection(claviger), apiKey: made.key });
  await claviger.done("DELETE", `/access-keys/${made.id}`);
  const { text } = await run([[LIST, {}], (prompt) => output(prompt).value], tools);
  assert.match(text, /401: .*apiKey/);
  assert.ok(!text.includes(made.key));
});

test("a signal goes through to the request", async () => {
  const tools = await manager.getTools(account);
  const abortSignal = AbortSignal.abort(new Error("too late"));
  await assert.rejects(run([[LIST, {}]], tools, { abortSignal }), /too late|abort/i);
  await assert.rejects(tools[LIST].execute({}, { abortSignal, toolCallId: "1", messages: [] }), /too late/);
});
