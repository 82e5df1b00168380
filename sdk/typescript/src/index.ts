// Tools of a connected account, for no framework in particular: what the entries for LangChain and the
// Vercel AI SDK are made of, and enough for a loop of one's own.

import { Connection, type ConnectionOptions } from "./connection.js";
import { isObject, ToolsetError } from "./error.js";
import { requestFor, type Arguments, type ToolDescription } from "./request.js";

export type { ConnectionOptions } from "./connection.js";
export { ToolsetError, type FailedResponse } from "./error.js";
export type { Arguments, JsonSchema, ToolDescription } from "./request.js";

/** Which tools of a connected account are wanted: all of them if nothing is said. */
export interface ToolFilter {
  /** `read`, `write`, `custom` or exact names of methods; a tool is in that has one of them. */
  methods?: readonly string[];
  /** Groups of tools, as `api_keys`; a tool is in that has one of them. */
  tags?: readonly string[];
  signal?: AbortSignal;
}

/** A tool that can be called. */
export interface GatewayTool extends ToolDescription {
  /**
   * Calls it, and gives the gateway's answer: what was asked for in `result`; of a list also
   * `next_cursor`, which the next call takes as it is.
   */
  call(args: Arguments, options?: { signal?: AbortSignal | undefined }): Promise<unknown>;
}

/** The gateway's tools. */
export class Toolset {
  readonly #connection: Connection;

  constructor(options?: ConnectionOptions) {
    this.#connection = new Connection(options);
  }

  /** The tools of a connected account, as the gateway has them now. */
  async tools(accountId: string, { methods, tags, signal }: ToolFilter = {}): Promise<GatewayTool[]> {
    if (typeof accountId !== "string" || !/^[\w-]+$/.test(accountId)) {
      const message = "`accountId` must be the id of a connected account: GET /integrated-account lists them";
      throw new ToolsetError("invalid_options", message);
    }
    const query = new URLSearchParams();
    if (methods !== undefined) query.append("methods", methods.join(","));
    if (tags !== undefined) query.append("tags", tags.join(","));
    const path = `/integrated-account/${accountId}/tools`;
    const answer = await this.#connection.send({ verb: "GET", path, query }, signal);
    if (!isObject(answer) || !Array.isArray(answer["result"])) {
      throw new ToolsetError("refused", "the answer has no tools in it: is `baseUrl` that of a Claviger?");
    }
    const described = answer["result"] as ToolDescription[];
    return described.map((tool) => ({
      ...tool,
      call: async (args, options = {}) =>
        this.#connection.send(requestFor(tool, accountId, args), options.signal),
    }));
  }
}
