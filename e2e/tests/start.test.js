// Starting and stopping: what is wrong is said in one plain sentence, with exit code 2, and nothing
// has changed.

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { Claviger, isOnPostgres, run } from "../claviger.js";

const claviger = await Claviger.start();
after(() => claviger.stop());

const scratch = await mkdtemp(join(tmpdir(), "claviger-e2e-"));
after(() => rm(scratch, { recursive: true }));

/** Starts the program where it has to refuse, and gives its sentence. */
async function refusal(directory, { listen = "127.0.0.1:0", args = [], environment } = {}) {
  const command = ["serve", "--listen", listen, "--data-dir", directory, ...args];
  const { code, lines } = await run(command, environment);
  assert.equal(code, 2, lines.join("\n"));
  assert.equal(lines.length, 1, lines.join("\n"));
  return lines[0];
}

test("a port in use", async () => {
  const { host } = new URL(claviger.url);
  const directory = join(scratch, "port");
  assert.match(await refusal(directory, { listen: host }), new RegExp(host));
});

test("a data directory that another program holds", async () => {
  assert.ok((await refusal(claviger.directory)).includes(claviger.directory));
  await claviger.done("GET", "/projects");
});

test("a data directory that is a file", async () => {
  const file = join(scratch, "file");
  await writeFile(file, "not a directory");
  assert.ok((await refusal(file)).includes(file));
  assert.equal(await readFile(file, "utf8"), "not a directory");
});

test("a database file that is none", async () => {
  const broken = await mkdtemp(join(scratch, "broken-"));
  await writeFile(join(broken, "claviger.db"), "no database at all ".repeat(1000));
  await refusal(broken);
  assert.match(await readFile(join(broken, "claviger.db"), "utf8"), /^no database/);
});

test("a wrong master key", { skip: isOnPostgres && "it looks into SQLite's files" }, async () => {
  const other = await Claviger.start();
  after(() => other.stop());
  await other.end();
  const before = await readFile(join(other.directory, "claviger.db"));
  const environment = { CLAVIGER_MASTER_KEY: Buffer.alloc(32, 7).toString("base64") };
  assert.match(await refusal(other.directory, { environment }), /master key/);
  assert.deepEqual(await readFile(join(other.directory, "claviger.db")), before);
});

test("an unknown configuration key", async () => {
  const config = join(scratch, "claviger.toml");
  await writeFile(config, 'lisen = "127.0.0.1:8420"\n');
  const directory = join(scratch, "unknown-key");
  assert.match(await refusal(directory, { args: ["--config", config] }), /lisen/);
  await assert.rejects(stat(directory), { code: "ENOENT" });
});

test("files are for their owner only", async () => {
  for (const name of await readdir(claviger.directory)) {
    const { mode } = await stat(join(claviger.directory, name));
    assert.equal(mode & 0o077, 0, name);
  }
});

test("the program is alive and ready", async () => {
  for (const path of ["/healthz", "/readyz"]) {
    assert.equal((await claviger.call("GET", path, { key: null })).status, 200, path);
  }
});

test("the welcome shows no secret", async () => {
  for (const secret of [claviger.accessKey, claviger.verifierKey, claviger.operatorKey]) {
    assert.ok(!claviger.log.includes(secret));
  }
});
