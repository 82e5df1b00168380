// The examples of the README, run as they stand there.

import assert from "node:assert/strict";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { after, test } from "node:test";

import { CHECK, LIST, startClaviger, usedUpKey } from "./gateway.js";
import { ScriptedChatModel, scriptedModel } from "./scripted.js";

const claviger = await startClaviger();
const folder = new URL("./examples/", import.meta.url);
await mkdir(folder, { recursive: true });
after(() => rm(folder, { recursive: true }));

const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
const examples = [...readme.matchAll(/^```js (\w+)\n(.*?)^```$/gms)].map(([, kind, text]) => ({ kind, text }));

Object.assign(process.env, { CLAVIGER_URL: claviger.url, CLAVIGER_ACCESS_KEY: claviger.accessKey });
globalThis.accountId = claviger.integratedAccountId;
const body = { name: "Acme's key", projectId: claviger.projectId, customAccountId: "acme" };
await claviger.done("POST", "/api-keys", { body });

/** Runs an example and gives what it printed. */
async function run(context, name, text, steps) {
  globalThis.llm = new ScriptedChatModel(steps);
  globalThis.model = scriptedModel(steps);
  const printed = [];
  context.mock.method(console, "log", (line) => printed.push(line));
  const file = new URL(`${name}.mjs`, folder);
  await writeFile(file, text);
  await import(file);
  return printed;
}

test("there is one for each entry, and no other code in the README", () => {
  assert.deepEqual(examples.map((example) => example.kind), ["langchain", "langchain", "ai", "plain"]);
  assert.equal(readme.match(/^```/gm).length, 2 * examples.length);
});

examples.forEach(({ kind, text }, index) => {
  test(`example ${index + 1}, ${kind}, works`, async (context) => {
    const printed = await run(context, `works-${index}`, text, [
      [LIST, { customAccountId: "acme" }],
      (messages) => (JSON.stringify(messages.at(-1)).includes("Acme's key") ? "Acme's key" : "none"),
    ]);
    assert.deepEqual(printed, ["Acme's key"]);
  });

  if (kind === "plain") return;
  test(`example ${index + 1}, ${kind}, catches 429`, async (context) => {
    const key = await usedUpKey(claviger);
    const printed = await run(context, `catches-${index}`, text, [[CHECK, { key }], "Sorry"]);
    assert.match(printed.at(-1), /^Come back in \d+ seconds$/);
  });
});
