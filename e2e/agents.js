// The official TypeScript SDKs of the Model Context Protocol, each in the eras that it speaks.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as EarlierClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as EarlierTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

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
