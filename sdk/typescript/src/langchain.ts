// The tools as those of LangChain and LangGraph.

import type { RunnableConfig } from "@langchain/core/runnables";
import { DynamicStructuredTool, ToolInputParsingException } from "@langchain/core/tools";

import { Toolset, ToolsetError, type FailedResponse, type ConnectionOptions, type GatewayTool, type ToolFilter } from "./index.js";

export { ToolsetError } from "./index.js";

/** Which tools are wanted, and what becomes of their failures. */
export interface LangChainOptions extends ToolFilter {
  /**
   * Which failures end the run. The others are told to the model, as the tool's answer. If nothing is
   * said, those end it that other arguments would not mend: all but 400, 404, 409 and 422.
   */
  throwOn?: (error: ToolsetError) => boolean;
}

/** Gives LangChain the tools of connected accounts. */
export class ToolManager {
  readonly #toolset: Toolset;

  constructor(options?: ConnectionOptions) {
    this.#toolset = new Toolset(options);
  }

  /** The tools of a connected account, for `llm.bindTools(tools)` or an agent. */
  async getTools(accountId: string, options: LangChainOptions = {}): Promise<DynamicStructuredTool[]> {
    const { throwOn = (error) => !error.isForTheModel, ...filter } = options;
    const tools = await this.#toolset.tools(accountId, filter);
    return tools.map((tool) => wrap(tool, throwOn));
  }
}

/** The same without an object: `getTools(accountId, { apiKey, baseUrl, methods, tags })`. */
export async function getTools(
  accountId: string,
  { apiKey, baseUrl, timeoutMs, ...options }: ConnectionOptions & LangChainOptions = {},
): Promise<DynamicStructuredTool[]> {
  return new ToolManager({ apiKey, baseUrl, timeoutMs }).getTools(accountId, options);
}

function wrap(tool: GatewayTool, throwOn: (error: ToolsetError) => boolean): DynamicStructuredTool {
  return new DynamicStructuredTool({
    name: tool.name,
    description: tool.description,
    schema: tool.input_schema as unknown as Record<string, unknown>,
    tags: [...tool.tags],
    metadata: { resource: tool.resource, method: tool.method, annotations: tool.annotations },
    // Else a model that forgot an argument is not told which.
    verboseParsingErrors: true,
    func: async (args: Record<string, unknown>, _run: unknown, config?: RunnableConfig) => {
      try {
        return JSON.stringify(await tool.call(args, { signal: config?.signal }));
      } catch (error) {
        if (!(error instanceof ToolsetError)) throw error;
        if (!throwOn(error)) return JSON.stringify(error.forTheModel());
        // Agents of today call with the whole of the model's call, and let every error through.
        throw config !== undefined && "toolCall" in config ? error : new ForAgentExecutor(error);
      }
    },
  });
}

/**
 * The same error for `AgentExecutor`. It lets through only those of arguments, and tells the model
 * nothing of the others: it would go on as if the tool had answered an empty text.
 */
class ForAgentExecutor extends ToolInputParsingException {
  override readonly name = "ToolsetError";
  readonly code: string;
  readonly response: FailedResponse | undefined;

  constructor(error: ToolsetError) {
    super(error.message);
    this.code = error.code;
    this.response = error.response;
    this.cause = error;
  }
}
