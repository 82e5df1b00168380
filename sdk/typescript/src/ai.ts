// The tools as those of the Vercel AI SDK. It tells the model itself of what a tool throws, and keeps
// the error in the step's content.

import { dynamicTool, jsonSchema, type JSONSchema7, type Tool } from "ai";

import { Toolset, type ConnectionOptions, type ToolFilter } from "./index.js";

export { ToolsetError } from "./index.js";

/** Gives the AI SDK the tools of connected accounts. */
export class ToolManager {
  readonly #toolset: Toolset;

  constructor(options?: ConnectionOptions) {
    this.#toolset = new Toolset(options);
  }

  /** The tools of a connected account by their names, for `generateText({ tools })`. */
  async getTools(accountId: string, filter: ToolFilter = {}): Promise<Record<string, Tool>> {
    const tools = await this.#toolset.tools(accountId, filter);
    const named = tools.map((tool): [string, Tool] => [
      tool.name,
      dynamicTool({
        description: tool.description,
        inputSchema: jsonSchema(tool.input_schema as unknown as JSONSchema7),
        execute: (args, { abortSignal }) =>
          tool.call(args as Record<string, unknown>, { signal: abortSignal }),
      }),
    ]);
    return Object.fromEntries(named);
  }
}

/** The same without an object: `getTools(accountId, { apiKey, baseUrl, methods, tags })`. */
export async function getTools(
  accountId: string,
  { apiKey, baseUrl, timeoutMs, ...filter }: ConnectionOptions & ToolFilter = {},
): Promise<Record<string, Tool>> {
  return new ToolManager({ apiKey, baseUrl, timeoutMs }).getTools(accountId, filter);
}
