// The code of a page for readers, run as it stands there.

import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { after } from "node:test";

import { ScriptedChatModel, scriptedModel } from "./scripted.js";

/** The examples of a Markdown file: `kind` is the word after the language, `text` the code. */
export async function examplesOf(file) {
  const markdown = await readFile(new URL(file, import.meta.url), "utf8");
  const found = markdown.matchAll(/^```js ([\w-]+)\n(.*?)^```$/gms);
  return { markdown, examples: [...found].map(([, kind, text]) => ({ kind, text })) };
}

let count = 0;

/** Runs an example with models that say what `steps` has, and gives what it printed. */
export async function run(context, text, steps) {
  const folder = new URL("./examples/", import.meta.url);
  await mkdir(folder, { recursive: true });
  globalThis.llm = new ScriptedChatModel(steps);
  globalThis.model = scriptedModel(steps);
  const printed = [];
  context.mock.method(console, "log", (line) => printed.push(line));
  const file = new URL(`${process.pid}-${(count += 1)}.mjs`, folder);
  await writeFile(file, text);
  after(() => rm(file));
  await import(file);
  return printed;
}
