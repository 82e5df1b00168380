// Requests to one gateway with one access key.

import { refused, ToolsetError } from "./error.js";

/** Where the gateway is, and who asks. */
export interface ConnectionOptions {
  /** An access key (`live_access_…`) that may use the gateway; else `CLAVIGER_ACCESS_KEY`. */
  apiKey?: string | undefined;
  /** The address of the Claviger, as `https://keys.example.com`; else `CLAVIGER_URL`. */
  baseUrl?: string | undefined;
  /** How long an answer may take, in milliseconds: two minutes if nothing is said. */
  timeoutMs?: number | undefined;
}

/** A request to the gateway. */
export interface GatewayRequest {
  verb: string;
  /** With its segments percent-encoded. */
  path: string;
  query: URLSearchParams;
  /** Sent as JSON. */
  body?: unknown;
}

const TWO_MINUTES = 120_000;

export class Connection {
  // Private to the language, so that nobody prints the key with the object.
  readonly #apiKey: string;
  readonly #baseUrl: string;
  readonly #timeoutMs: number;

  constructor({ apiKey, baseUrl, timeoutMs = TWO_MINUTES }: ConnectionOptions = {}) {
    this.#apiKey = given(apiKey, "CLAVIGER_ACCESS_KEY", "apiKey");
    // What is no text of a header would be repeated by the error of whoever refuses it.
    if (!/^[\x21-\x7e]+$/.test(this.#apiKey)) {
      throw new ToolsetError("invalid_options", "`apiKey` has characters that no access key has");
    }
    this.#baseUrl = address(given(baseUrl, "CLAVIGER_URL", "baseUrl"));
    this.#timeoutMs = timeoutMs;
  }

  /** Sends a request, and gives the body of an answer that is a success. */
  async send({ verb, path, query, body }: GatewayRequest, signal?: AbortSignal): Promise<unknown> {
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    const parameters = query.toString();
    const url = this.#baseUrl + path + (parameters === "" ? "" : `?${parameters}`);
    try {
      const response = await fetch(url, {
        method: verb,
        headers: {
          authorization: `Bearer ${this.#apiKey}`,
          accept: "application/json",
          ...(body !== undefined && { "content-type": "application/json" }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        // The key is for this address, and for none that it leads to.
        redirect: "manual",
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      });
      const data = parsed(await response.text());
      if (response.ok && data !== undefined) return data;
      throw refused({ status: response.status, headers: response.headers, data });
    } catch (error) {
      if (error instanceof ToolsetError) throw error;
      // Whoever gave up knows why.
      if (signal?.aborted) throw signal.reason;
      if (timeout.aborted) {
        const message = `no answer within ${this.#timeoutMs} ms: ask for less, or raise \`timeoutMs\``;
        throw new ToolsetError("timeout", message);
      }
      const message = `cannot reach ${this.#baseUrl}: is the Claviger running there?`;
      throw new ToolsetError("not_connected", message, { cause: error });
    }
  }
}

function given(value: string | undefined, variable: string, option: string): string {
  const found = value ?? globalThis.process?.env[variable];
  if (found === undefined || found === "") {
    const message = `give \`${option}\`, or set the environment variable ${variable}`;
    throw new ToolsetError("invalid_options", message);
  }
  return found;
}

function address(text: string): string {
  const url = parsedUrl(text);
  const isAddress = url !== undefined && /^https?:$/.test(url.protocol);
  if (!isAddress || url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    const message = "`baseUrl` must be an address as `https://keys.example.com`";
    throw new ToolsetError("invalid_options", message);
  }
  return url.href.replace(/\/+$/, "");
}

function parsedUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
