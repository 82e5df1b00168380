// Models that say what a test has written for them, in the shapes of the frameworks.

import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { AIMessage } from "@langchain/core/messages";
import { MockLanguageModelV3 } from "ai/test";

/**
 * A chat model of LangChain. Each step is a text, a call of a tool as `[name, args]`, or a function that
 * makes one of the messages so far.
 */
export class ScriptedChatModel extends BaseChatModel {
  /** The tools that were bound last. */
  bound = [];

  constructor(steps) {
    super({});
    this.steps = [...steps];
  }

  _llmType() {
    return "scripted";
  }

  bindTools(tools) {
    this.bound = tools;
    return this;
  }

  async _generate(messages) {
    const message = this.#next(messages);
    return { generations: [{ message, text: message.text }] };
  }

  #next(messages) {
    const step = said(this.steps, messages);
    if (typeof step === "string") return new AIMessage(step);
    const [name, args] = step;
    return new AIMessage({ content: "", tool_calls: [{ name, args, id: callId(), type: "tool_call" }] });
  }
}

/** The same for the Vercel AI SDK. */
export function scriptedModel(steps) {
  const left = [...steps];
  return new MockLanguageModelV3({
    doGenerate: async ({ prompt }) => {
      const step = said(left, prompt);
      const isText = typeof step === "string";
      const content = isText
        ? { type: "text", text: step }
        : { type: "tool-call", toolCallId: callId(), toolName: step[0], input: JSON.stringify(step[1]) };
      return {
        content: [content],
        finishReason: isText ? { unified: "stop" } : { unified: "tool-calls" },
        usage: { inputTokens: {}, outputTokens: {} },
        warnings: [],
      };
    },
  });
}

function said(steps, messages) {
  if (steps.length === 0) throw new Error("the script is over, and the model is asked again");
  const step = steps.shift();
  return typeof step === "function" ? step(messages) : step;
}

let calls = 0;
const callId = () => `call_${(calls += 1)}`;
