// The official TypeScript SDKs of the Model Context Protocol, each in the eras that it speaks.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as EarlierClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { StdioClientTransport as EarlierStdio } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as EarlierTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { program } from "./claviger.js";

const identity = { name: "claviger-e2e", version: "1.0.0" };

function agent(name, makeClient, Transport) {
  return {
    name,
    /** Connects with nothing but a URL, or with headers for a second credential. */
    async connect(url, headers = {}) {
      const client = makeClient();
      await client.connect(new Transport(new URL(url), { requestInit: { headers } }));
      return client;
    },
  };
}

const negotiating = (mode) => () => new Client(identity, { versionNegotiation: { mode } });

/** Every client in every era: its name, and `connect(url, headers)`. */
export const agents = [
  agent("sdk 1.x", () => new EarlierClient(identity), EarlierTransport),
  agent("client 2.x, legacy", negotiating("legacy"), StreamableHTTPClientTransport),
  agent("client 2.x, auto", negotiating("auto"), StreamableHTTPClientTransport),
  agent("client 2.x, pinned", negotiating({ pin: "2026-07-28" }), StreamableHTTPClientTransport),
];

function bridgedAgent(name, makeClient, Transport) {
  return {
    name: `${name}, through the bridge`,
    /** Starts `claviger mcp bridge` with these variables, and connects to it. */
    async connect(environment) {
      const client = makeClient();
      const env = { PATH: process.env.PATH, ...environment };
      const args = ["mcp", "bridge"];
      await client.connect(new Transport({ command: program, args, env, stderr: "ignore" }));
      return client;
    },
  };
}

/** Every client in every era over `claviger mcp bridge`: its name, and `connect(environment)`. */
export const bridged = [
  bridgedAgent("sdk 1.x", () => new EarlierClient(identity), EarlierStdio),
  bridgedAgent("client 2.x, legacy", negotiating("legacy"), StdioClientTransport),
  bridgedAgent("client 2.x, auto", negotiating("auto"), StdioClientTransport),
  bridgedAgent("client 2.x, pinned", negotiating({ pin: "2026-07-28" }), StdioClientTransport),
];

/** Calls a tool that has to succeed, and gives the `result` of its envelope. */
export async function succeed(client, name, args = {}) {
  const answer = await client.callTool({ name, arguments: args });
  const [{ text }] = answer.content;
  if (answer.isError) throw new Error(`${name}: ${text}`);
  return JSON.parse(text).result;
}

/** Calls a tool that has to fail, and gives the error that the model reads. */
export async function fail(client, name, args = {}) {
  const answer = await client.callTool({ name, arguments: args });
  const [{ text }] = answer.content;
  if (!answer.isError) throw new Error(`${name} was expected to fail, and answered ${text}`);
  return JSON.parse(text);
}

/** The HTTP status that a client was refused with, wherever its SDK keeps it. */
export async function refusedWith(promise) {
  try {
    await promise;
  } catch (error) {
    for (let cause = error; cause; cause = cause.cause) {
      const status = cause.status ?? cause.data?.status ?? cause.code;
      if (Number.isInteger(status)) return status;
    }
    throw error;
  }
  throw new Error("the client was expected to be refused, and connected");
}
