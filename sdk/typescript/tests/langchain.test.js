// The tools in LangChain: bound to a model, in its agents of both generations, and by themselves.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { AgentExecutor, createToolCallingAgent } from "@langchain/classic/agents";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { convertToOpenAITool } from "@langchain/core/utils/function_calling";
import { MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { ToolNode, toolsCondition } from "@langchain/langgraph/prebuilt";
import { createAgent, createMiddleware } from "langchain";

import { getTools, ToolManager } from "@claviger/toolset/langchain";

import { CHECK, connection, CREATE, LIST, READ, ROTATE, startClaviger, usedUpKey } from "./gateway.js";
import { ScriptedChatModel } from "./scripted.js";

const claviger = await startClaviger();
const { integratedAccountId: account, projectId } = claviger;
const manager = new ToolManager(connection(claviger));
const prompt = ChatPromptTemplate.fromMessages([
  ["system", "You look after API keys."],
  ["human", "{input}"],
  ["placeholder", "{agent_scratchpad}"],
]);

// Without one in between, `createAgent` tells the model of whatever a tool throws.
const endOnFailure = createMiddleware({
  name: "EndOnFailure",
  wrapToolCall: (request, handler) => handler(request),
});

const generations = {
  "AgentExecutor.invoke": async (llm, tools, signal) => {
    const agent = await createToolCallingAgent({ llm, tools, prompt });
    const executor = new AgentExecutor({ agent, tools, returnIntermediateSteps: true });
    const { output } = await executor.invoke({ input: "Go" }, { signal });
    return output;
  },
  createAgent: async (llm, tools, signal) => {
    const agent = createAgent({ model: llm, tools, middleware: [endOnFailure] });
    const { messages } = await agent.invoke({ messages: [["human", "Go"]] }, { signal });
    return messages.at(-1).text;
  },
};

/** What the last tool answered, as the model reads it. */
const answer = (messages) => JSON.parse(messages.at(-1).content);

test("the tools are bound with names, descriptions and schemas that OpenAI takes", async () => {
  const tools = await manager.getTools(account);
  const llm = new ScriptedChatModel(["Done"]);
  await llm.bindTools(tools).invoke("Go");
  assert.equal(llm.bound.length, tools.length);
  for (const { function: made } of llm.bound.map((tool) => convertToOpenAITool(tool))) {
    assert.match(made.name, /^[A-Za-z0-9_-]{1,64}$/);
    assert.ok(made.description);
    assert.equal(made.parameters.type, "object");
  }
});

test("a filter leaves some, with or without a manager", async () => {
  const filter = { methods: ["list"], tags: ["api_keys"] };
  const names = (tools) => tools.map((tool) => tool.name).sort();
  const expected = [LIST, CHECK].sort();
  assert.deepEqual(names(await manager.getTools(account, filter)), expected);
  assert.deepEqual(names(await getTools(account, { ...connection(claviger), ...filter })), expected);
});

for (const [name, run] of Object.entries(generations)) {
  describe(name, () => {
    test("makes a key, finds it page by page and rotates it", async () => {
      const of = `agent-${name}`;
      const seen = [];
      const list = (args) => [LIST, { customAccountId: of, limit: 1, ...args }];
      const llm = new ScriptedChatModel([
        [CREATE, { name: "first", projectId, customAccountId: of }],
        [CREATE, { name: "second", projectId, customAccountId: of }],
        list(),
        (messages) => {
          const page = answer(messages);
          seen.push(...page.result);
          return list({ next_cursor: page.next_cursor });
        },
        (messages) => {
          seen.push(...answer(messages).result);
          return [ROTATE, { id: seen[1].id }];
        },
        (messages) => `Rotated ${answer(messages).result.name}`,
      ]);
      assert.equal(await run(llm, await manager.getTools(account)), "Rotated second");
      assert.deepEqual(seen.map((key) => key.name), ["first", "second"]);
    });

    test("429 ends the run, and is caught with its headers", async () => {
      const key = await usedUpKey(claviger);
      const llm = new ScriptedChatModel([[CHECK, { key }]]);
      let caught;
      try {
        await run(llm, await manager.getTools(account));
      } catch (error) {
        if (error.response?.status === 429) caught = error.response.headers.get("ratelimit-reset");
        else throw error;
      }
      assert.ok(Number(caught) > 0 && Number(caught) <= 3600, `${caught}`);
    });

    test("what other arguments would mend is told to the model", async () => {
      const llm = new ScriptedChatModel([
        [CREATE, { name: "Ada", projectId, custmoAccountId: "acme" }],
        (messages) => {
          assert.match(answer(messages).message, /did you mean `customAccountId`/);
          return [READ, { id: "key_0000000000000000" }];
        },
        (messages) => `${answer(messages).statusCode}`,
      ]);
      assert.equal(await run(llm, await manager.getTools(account)), "404");
    });

    test("an access key that has ended ends the run", async () => {
      const body = { name: "Ended", accountId: claviger.accountId };
      const made = await claviger.done("POST", "/access-keys", { body });
      const ended = new ToolManager({ ...connection(claviger), apiKey: made.key });
      const tools = await ended.getTools(account);
      await claviger.done("DELETE", `/access-keys/${made.id}`);
      await assert.rejects(run(new ScriptedChatModel([[LIST, {}]]), tools), (error) => {
        assert.equal(error.response.status, 401);
        assert.match(error.message, /apiKey/);
        assert.ok(!error.stack.includes(made.key));
        return true;
      });
    });

    test("a signal ends it", async () => {
      const controller = new AbortController();
      const reason = new Error("the user went away");
      const step = () => {
        controller.abort(reason);
        return [LIST, {}];
      };
      const llm = new ScriptedChatModel([step, "Done"]);
      await assert.rejects(run(llm, await manager.getTools(account), controller.signal));
    });
  });
}

test("createAgent by itself tells the model of a failure, and what to do", async () => {
  const key = await usedUpKey(claviger);
  const model = new ScriptedChatModel([[CHECK, { key }], (messages) => messages.at(-1).content]);
  const agent = createAgent({ model, tools: await manager.getTools(account) });
  const { messages } = await agent.invoke({ messages: [["human", "Go"]] });
  assert.match(messages.at(-1).text, /429: .*try again in \d+ s/i);
  assert.ok(!messages.at(-1).text.includes(key), "the error repeats the key");
});

test("a graph of one's own calls them", async () => {
  const tools = await manager.getTools(account, { methods: ["list"] });
  const end = (messages) => `${answer(messages).result_count} keys`;
  const llm = new ScriptedChatModel([[LIST, { customAccountId: "nobody" }], end]).bindTools(tools);
  const graph = new StateGraph(MessagesAnnotation)
    .addNode("model", async ({ messages }) => ({ messages: [await llm.invoke(messages)] }))
    .addNode("tools", new ToolNode(tools))
    .addEdge(START, "model")
    .addConditionalEdges("model", toolsCondition)
    .addEdge("tools", "model");
  const { messages } = await graph.compile().invoke({ messages: [["human", "Go"]] });
  assert.equal(messages.at(-1).text, "0 keys");
});

test("what ends a run can be chosen", async () => {
  const read = async (throwOn) => {
    const [tool] = await manager.getTools(account, { methods: ["get"], tags: ["projects"], throwOn });
    return tool.invoke({ id: "prj_none" });
  };
  await assert.rejects(read(() => true), { name: "ToolsetError", code: "project_not_found" });
  assert.equal(JSON.parse(await read(() => false)).statusCode, 404);
});

test("a signal goes through to the request", async () => {
  const [tool] = await manager.getTools(account, { methods: ["list"], tags: ["projects"] });
  const signal = AbortSignal.abort(new Error("too late"));
  await assert.rejects(tool.invoke({ accountId: claviger.accountId }, { signal }), /too late|abort/i);
});

test("an argument that is missing is named", async () => {
  const [tool] = await manager.getTools(account, { methods: ["get"], tags: ["projects"] });
  await assert.rejects(tool.invoke({}), /"id"/);
});
