// Starts the built program in a scratch directory, as someone would who has just unpacked it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { watch } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Whether the program is to keep its rows in PostgreSQL. */
export const isOnPostgres = process.env.CLAVIGER_TEST_ENGINE === "postgres";

const here = dirname(fileURLToPath(import.meta.url));

/** The program as it ships. */
export const program = resolve(process.env.CLAVIGER_BIN ?? join(here, "../target/debug/claviger"));

/** The same with a clock that tests move: `POST /__clock`. */
const testbed = join(dirname(program), "claviger-testbed");

/** Makes databases on a PostgreSQL that ends with the test file. */
const databases = join(dirname(program), "claviger-test-database");

// The program ends when its standard input does, which the kernel sees to however a test file ends.
const UNTIL_THE_PIPE_CLOSES = `
  exec 3<&0
  "$@" 3<&- & claviger=$!
  { read -r _; kill "$claviger"; } <&3 & lifeline=$!
  wait "$claviger"; code=$?
  kill "$lifeline" 2>/dev/null
  exit "$code"
`;

/** How many milliseconds the program may take to start, or to say that it will not. */
const PATIENCE = 30_000;

/** What no log line and no database file may contain, whatever the tests have done. */
const SECRETS = [
  /(?:live|test)_(?:access_)?[A-Za-z0-9]{64}/,
  /operator_[A-Za-z0-9]{32,}/,
  /clv(?:mcp|link)_[A-Za-z0-9_-]{40,}/,
  /whsec_[A-Za-z0-9+/]{40,}/,
  // Keys that a test chooses itself have no shape to know them by, so they all start like this.
  /custom-key-of-[a-z0-9-]+/,
];

/** A running program and the credentials of its first start. */
export class Claviger {
  #process;
  #output = "";
  #database;

  /** Starts a new one and waits until it is ready. With `clock`, its time can be moved. */
  static async start({ clock = false, flags = [] } = {}) {
    const directory = await mkdtemp(join(tmpdir(), "claviger-e2e-"));
    const claviger = new Claviger(directory);
    if (isOnPostgres) claviger.#database = await makeDatabase();
    const watcher = watch(directory);
    claviger.#spawn(clock ? testbed : program, flags);
    const ended = once(claviger.#process, "exit").then(([code]) => {
      throw new Error(`the program ended with ${code} before it was ready:\n${claviger.log}`);
    });
    // The program ends some day, and by then nobody waits for this any more.
    ended.catch(() => {});
    try {
      Object.assign(claviger, await Promise.race([claviger.#bootstrapFile(watcher), ended]));
    } catch (error) {
      // Else the test file would wait for it to end.
      claviger.#process.stdin.end();
      throw error;
    } finally {
      watcher.close();
    }
    return claviger;
  }

  constructor(directory) {
    this.directory = directory;
  }

  #spawn(binary, flags) {
    const serve = ["serve", "--listen", "127.0.0.1:0", "--data-dir", this.directory, ...flags];
    const environment = this.#database && { CLAVIGER_DATABASE_URL: this.#database };
    this.#process = launch([binary, ...serve], (text) => (this.#output += text), environment);
  }

  /** The content of `bootstrap.json`, which the program writes when it is ready. */
  async #bootstrapFile(watcher) {
    const file = join(this.directory, "bootstrap.json");
    const signal = AbortSignal.timeout(PATIENCE);
    for (;;) {
      const changed = once(watcher, "change", { signal });
      const written = await readFile(file, "utf8").then(JSON.parse, () => undefined);
      if (written) return written;
      await changed;
    }
  }

  /** All that the program has written to its terminal so far. */
  get log() {
    return this.#output;
  }

  /** Waits until the program has written that. */
  async logged(text) {
    const signal = AbortSignal.timeout(PATIENCE);
    while (!this.#output.includes(text)) await once(this.#process.stderr, "data", { signal });
  }

  /** Sends a request as a plain caller does, by default with the owner's access key. */
  async call(method, path, { key = this.accessKey, body, headers = {} } = {}) {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(key && { "x-api-key": key }),
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: text === "" ? undefined : JSON.parse(text),
    };
  }

  /** Sends a request that has to succeed, and gives its body. */
  async done(method, path, options) {
    const { status, body } = await this.call(method, path, options);
    assert.ok(status >= 200 && status < 300, `${method} ${path}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  /** Makes an MCP server over the built-in connector. Its answer has `id` and `url`. */
  createMcpServer(server, options) {
    const path = `/integrated-account/${this.integratedAccountId}/mcp`;
    return this.done("POST", path, { body: server, ...options });
  }

  /** Moves the time of a program that was started with `clock`. */
  advance(seconds) {
    return this.done("POST", "/__clock", { body: { advanceSeconds: seconds } });
  }

  /** Everything an owner can list, to compare before and after. */
  async rows() {
    const lists = ["/accounts", "/projects", "/api-keys", "/access-keys"];
    const rows = await Promise.all(lists.map((path) => this.done("GET", path)));
    // Listing is itself a use of an access key.
    return rows.flat().map((row) => (row.id.startsWith("ack_") ? { ...row, lastUsedAt: null } : row));
  }

  /** Ends the program as a service manager would, and waits until it has ended. */
  async end() {
    if (this.#process.exitCode !== null) return;
    const exit = once(this.#process, "exit");
    this.#process.stdin.end();
    const [code] = await exit;
    assert.equal(code, 0, `the program ended with ${code}:\n${this.log}`);
  }

  /** Ends the program, and holds what it leaves behind to its promise. */
  async stop() {
    await this.end();
    const leaks = await this.places(SECRETS);
    await rm(this.directory, { recursive: true });
    assert.deepEqual(leaks, []);
  }

  /** The files of its database; those of PostgreSQL are where its socket is. */
  async #databaseFiles() {
    if (!this.#database) {
      const names = await readdir(this.directory);
      return names.filter((name) => name.includes(".db")).map((name) => join(this.directory, name));
    }
    const data = join(new URL(this.#database).searchParams.get("host"), "data");
    const found = await readdir(data, { recursive: true, withFileTypes: true });
    const rows = found.filter((one) => one.isFile() && /\/(base|pg_wal)/.test(one.parentPath));
    return rows.map((one) => join(one.parentPath, one.name));
  }

  /** Where one of the patterns occurs in the log or a database file: never the text that matched. */
  async places(patterns) {
    const names = await this.#databaseFiles();
    assert.ok(names.length > 0, "there are no database files to look into");
    const read = async (name) => [name, await readFile(name, "latin1")];
    const files = [["the log", this.log], ...(await Promise.all(names.map(read)))];
    return files.flatMap(([name, text]) =>
      patterns.filter((pattern) => pattern.test(text)).map((pattern) => `${pattern} in ${name}`),
    );
  }
}

let maker;

/** A PostgreSQL database of a program's own: its URL. */
async function makeDatabase() {
  if (!maker) {
    const child = spawn(databases, { stdio: ["pipe", "pipe", "inherit"] });
    // The test file does not wait for it to end: it does when the pipe closes.
    child.unref();
    maker = { child, urls: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
  }
  const { stdin, stdout } = maker.child;
  for (const pipe of [stdin, stdout]) pipe.ref();
  stdin.write("\n");
  const { value: url } = await maker.urls.next();
  for (const pipe of [stdin, stdout]) pipe.unref();
  return url;
}

/** Runs the program until it ends by itself, and gives its exit `code` and output `lines`. */
export async function run(args, environment) {
  let output = "";
  const child = launch([program, ...args], (text) => (output += text), environment);
  const timer = setTimeout(() => child.stdin.end(), PATIENCE);
  const [code] = await once(child, "close");
  clearTimeout(timer);
  return { code, lines: output.split("\n").filter((line) => line !== "") };
}

function launch(command, write, environment = {}) {
  const child = spawn("sh", ["-c", UNTIL_THE_PIPE_CLOSES, "sh", ...command], {
    env: { ...process.env, ...environment },
  });
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", write);
  return child;
}
