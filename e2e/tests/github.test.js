// A document of the largest kind: GitHub's own, out of its npm package, as tools.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import { Claviger, isOnPostgres, program } from "../claviger.js";
import { packed } from "../packed.js";

const run = promisify(execFile);
const PACKAGE = "@octokit/openapi@23.0.2";
const FILE = "generated/api.github.com.json";

/** Seconds that an import may take, by the build: one without optimization takes many times as long. */
const [LONGEST_IMPORT, LONGEST_LIST] = program.includes("/debug/") ? [60, 2] : [5, 0.02];

const scratch = await mkdtemp(join(tmpdir(), "claviger-github-"));
after(() => rm(scratch, { recursive: true }));

const seconds = async (work) => {
  const begun = performance.now();
  const result = await work();
  return [result, (performance.now() - begun) / 1000];
};

/** What the strictest client refuses in a schema, at any depth. */
function faults(schema, where, isStrict) {
  const found = [];
  const fault = (what) => found.push(`${where}: ${what}`);
  if ("$ref" in schema) fault("a reference");
  if (!("type" in schema || "anyOf" in schema)) fault("no type");
  for (const word of ["oneOf", "allOf", "not", "nullable", "const"]) {
    if (word in schema) fault(word);
  }
  const formats = ["date-time", "date", "uuid", "email", "uri"];
  if (schema.format && !formats.includes(schema.format)) fault(`format ${schema.format}`);
  if (schema.enum?.some((value) => typeof value !== "string")) fault("values that are no texts");
  const names = Object.keys(schema.properties ?? {});
  for (const name of names) {
    if (!/^[a-zA-Z0-9_.-]{1,64}$/.test(name)) fault(`the name ${name}`);
    if (!schema.properties[name].description) fault(`${name} without a description`);
    found.push(...faults(schema.properties[name], `${where}.${name}`, isStrict));
  }
  if ([schema.type].flat().includes("array") && !schema.items) fault("no items");
  if (schema.items) found.push(...faults(schema.items, `${where}[]`, isStrict));
  for (const variant of schema.anyOf ?? []) found.push(...faults(variant, `${where}|`, isStrict));
  if (isStrict && [schema.type].flat().includes("object")) {
    if (schema.additionalProperties !== false) fault("members that are not named");
    if (names.some((name) => !schema.required?.includes(name))) fault("what may be left out");
  }
  return found;
}

function toolFaults(tool, isStrict) {
  const schema = tool.input_schema;
  const found = faults(schema, tool.name, isStrict);
  if (schema.type !== "object") found.push(`${tool.name}: no object at the root`);
  if ("anyOf" in schema) found.push(`${tool.name}: anyOf at the root`);
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(tool.name)) found.push(`${tool.name}: a name that is no name`);
  if (!tool.description) found.push(`${tool.name}: no description`);
  return found;
}

// What is printed is the same on both engines.
describe("GitHub's document", { skip: isOnPostgres }, () => {
  let document, file, operations;

  before(async () => {
    document = await packed(PACKAGE, FILE);
    const { paths } = JSON.parse(await readFile(document, "utf8"));
    const verbs = ["get", "post", "put", "patch", "delete", "head", "options"];
    const all = Object.values(paths).flatMap((item) => verbs.filter((verb) => verb in item));
    operations = all.length;
    assert.ok(operations > 1000, `${operations} operations`);
    file = join(scratch, "github.yaml");
  });

  test("is imported in seconds", async (context) => {
    const [, took] = await seconds(() => run(program, ["connector", "import", document, "--out", file]));
    context.diagnostic(`import: ${took.toFixed(2)} s`);
    assert.ok(took <= LONGEST_IMPORT, `${took} s`);
  });

  for (const profile of ["default", "openai-strict"]) {
    test(`becomes tools that the strictest client accepts, as ${profile}`, async (context) => {
      const flags = ["--json", "--schema-profile", profile];
      const options = { maxBuffer: 512 * 1024 * 1024 };
      const { stdout } = await run(program, ["connector", "tools", file, ...flags], options);
      const { tools, left_out } = JSON.parse(stdout);
      assert.equal(tools.length + left_out.length, operations);
      assert.equal(new Set(tools.map((tool) => tool.name)).size, tools.length, "names are unique");
      const refused = tools.map((tool) => toolFaults(tool, profile !== "default"));
      const accepted = refused.filter((found) => found.length === 0).length;
      const share = accepted / operations;
      const sizes = tools.map((tool) => JSON.stringify(tool.input_schema).length);
      context.diagnostic(
        `${accepted} of ${operations} operations (${(share * 100).toFixed(2)} %), schemas of ` +
          `${sizes.reduce((sum, size) => sum + size, 0)} bytes, the largest ${Math.max(...sizes)}`,
      );
      const examples = refused.flat().slice(0, 10).join("\n");
      assert.ok(share >= 0.99, `${share}\n${examples}\n${JSON.stringify(left_out.slice(0, 20))}`);
    });
  }

  test("is brought over HTTP, and its tools are listed by tag", async (context) => {
    const claviger = await Claviger.start();
    try {
      const text = await readFile(document, "utf8");
      const body = {
        slug: "github",
        label: "GitHub",
        tool_prefix: "github",
        base_url: "https://api.github.com",
        openapi: JSON.parse(text),
      };
      const [made, took] = await seconds(() => claviger.done("POST", "/integration", { body }));
      assert.ok(made.tool_count >= operations * 0.99, `${made.tool_count} tools`);
      const path = "/integration/github/capabilities?tags=repos&methods=read";
      await claviger.done("GET", path);
      const [listed, again] = await seconds(() => claviger.done("GET", path));
      assert.ok(listed.result.length > 50, `${listed.result.length} tools`);
      context.diagnostic(`sent: ${took.toFixed(2)} s; listed by tag: ${(again * 1000).toFixed(1)} ms`);
      assert.ok(took <= LONGEST_IMPORT, `${took} s`);
      assert.ok(again <= LONGEST_LIST * 5, `${again} s`);
    } finally {
      await claviger.stop();
    }
  });
});
