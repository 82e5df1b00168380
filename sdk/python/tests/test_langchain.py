"""The tools in LangChain: bound to a model, in its agents of both generations, and by themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import examples
import pytest
from conftest import Claviger
from langchain.agents import create_agent
from langchain_classic.agents import AgentExecutor, create_tool_calling_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from names import CHECK, CREATE, LIST, READ, ROTATE

from claviger_toolset.langchain import ToolManager, ToolsetError, get_tools

Step = Any


class ScriptedChatModel(BaseChatModel):
    """Says what a test has written: a text, a call as `(name, arguments)`, or a function of the messages."""

    steps: list[Step]
    bound: list[Any] = []

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Any:
        self.bound = list(tools)
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        step = self.steps.pop(0)
        said = step(messages) if callable(step) else step
        if isinstance(said, str):
            message = AIMessage(said)
        else:
            name, arguments = said
            call = {"name": name, "args": arguments, "id": f"call_{len(messages)}"}
            message = AIMessage("", tool_calls=[call])
        return ChatResult(generations=[ChatGeneration(message=message)])


def with_executor(llm: BaseChatModel, tools: list[BaseTool]) -> str:
    human, scratchpad = ("human", "{input}"), ("placeholder", "{agent_scratchpad}")
    prompt = ChatPromptTemplate.from_messages([("system", "You look after keys."), human, scratchpad])
    agent = create_tool_calling_agent(llm, tools, prompt)
    output: str = AgentExecutor(agent=agent, tools=tools).invoke({"input": "Go"})["output"]
    return output


def with_agent(llm: BaseChatModel, tools: list[BaseTool]) -> str:
    answer = create_agent(llm, tools).invoke({"messages": [("human", "Go")]})
    return str(answer["messages"][-1].content)


def with_agent_async(llm: BaseChatModel, tools: list[BaseTool]) -> str:
    answer = asyncio.run(create_agent(llm, tools).ainvoke({"messages": [("human", "Go")]}))
    return str(answer["messages"][-1].content)


Run = Callable[[BaseChatModel, list[BaseTool]], str]
every_agent = pytest.mark.parametrize("run", [with_executor, with_agent, with_agent_async])


def tools(claviger: Claviger, **options: Any) -> list[BaseTool]:
    return ToolManager(**claviger.connection).get_tools(claviger.integrated_account_id, **options)


def answer(messages: list[BaseMessage]) -> Any:
    """What the last tool answered, as the model reads it."""
    return json.loads(str(messages[-1].content))


def test_the_tools_are_bound_as_openai_takes_them(claviger: Claviger) -> None:
    every = tools(claviger)
    llm = ScriptedChatModel(steps=["Done"])
    llm.bind_tools(every).invoke("Go")
    assert len(llm.bound) == len(every)
    for described, tool in zip(map(convert_to_openai_tool, llm.bound), every, strict=True):
        function = described["function"]
        assert function["name"] == tool.name
        assert function["description"]
        assert function["parameters"]["type"] == "object"
        assert isinstance(tool.args_schema, dict)
        assert function["parameters"]["properties"] == tool.args_schema["properties"]


def test_a_filter_leaves_some_with_or_without_a_manager(claviger: Claviger) -> None:
    filters: dict[str, Any] = {"methods": ["list"], "tags": ["api_keys"]}
    expected = sorted([LIST, CHECK])
    assert sorted(tool.name for tool in tools(claviger, **filters)) == expected
    found = get_tools(claviger.integrated_account_id, **claviger.connection, **filters)
    assert sorted(tool.name for tool in found) == expected


@every_agent
def test_makes_a_key_finds_it_page_by_page_and_rotates_it(claviger: Claviger, run: Run) -> None:
    of = f"agent-{run.__name__}"
    seen: list[Any] = []

    def create(name: str) -> Step:
        arguments = {"name": name, "projectId": claviger.project_id, "customAccountId": of}
        return (CREATE, arguments)

    def next_page(messages: list[BaseMessage]) -> Step:
        page = answer(messages)
        seen.extend(page["result"])
        return (LIST, {"customAccountId": of, "limit": 1, "next_cursor": page["next_cursor"]})

    def rotate(messages: list[BaseMessage]) -> Step:
        seen.extend(answer(messages)["result"])
        return (ROTATE, {"id": seen[1]["id"]})

    first_page = (LIST, {"customAccountId": of, "limit": 1})
    end = lambda messages: f"Rotated {answer(messages)['result']['name']}"  # noqa: E731
    steps = [create("first"), create("second"), first_page, next_page, rotate, end]
    assert run(ScriptedChatModel(steps=steps), tools(claviger)) == "Rotated second"
    assert [key["name"] for key in seen] == ["first", "second"]


@every_agent
def test_429_ends_the_run_and_is_caught_with_its_headers(claviger: Claviger, run: Run) -> None:
    key = claviger.used_up_key()
    with pytest.raises(ToolsetError) as caught:
        run(ScriptedChatModel(steps=[(CHECK, {"key": key})]), tools(claviger))
    assert caught.value.response is not None
    assert caught.value.response.status_code == 429
    assert 0 < int(caught.value.response.headers["ratelimit-reset"]) <= 3600


@every_agent
def test_what_other_arguments_would_mend_is_told_to_the_model(claviger: Claviger, run: Run) -> None:
    def after_the_typo(messages: list[BaseMessage]) -> Step:
        assert "did you mean `customAccountId`" in answer(messages)["message"]
        return (READ, {"id": "key_0000000000000000"})

    typo = (CREATE, {"name": "Ada", "custmoAccountId": "acme"})
    steps = [typo, after_the_typo, lambda messages: str(answer(messages)["statusCode"])]
    assert run(ScriptedChatModel(steps=steps), tools(claviger)) == "404"


@every_agent
def test_an_access_key_that_has_ended_ends_the_run(claviger: Claviger, run: Run) -> None:
    account, url = claviger.integrated_account_id, claviger.url
    key, found = claviger.ended_access_key(lambda key: ToolManager(key, url).get_tools(account))
    with pytest.raises(ToolsetError, match="api_key") as caught:
        run(ScriptedChatModel(steps=[(LIST, {})]), found)
    assert caught.value.response is not None
    assert caught.value.response.status_code == 401
    assert key not in str(caught.value)


def test_a_graph_of_one_s_own_calls_them(claviger: Claviger) -> None:
    found = tools(claviger, methods=["list"])
    end = lambda messages: f"{answer(messages)['result_count']} keys"  # noqa: E731
    llm = ScriptedChatModel(steps=[(LIST, {"customAccountId": "nobody"}), end]).bind_tools(found)
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [llm.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode(found))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    said = graph.compile().invoke({"messages": [("human", "Go")]})
    assert said["messages"][-1].content == "0 keys"


def test_what_ends_a_run_can_be_chosen(claviger: Claviger) -> None:
    def read(raise_on: Callable[[ToolsetError], bool]) -> Any:
        options: dict[str, Any] = {"methods": ["get"], "tags": ["projects"], "raise_on": raise_on}
        [tool] = tools(claviger, **options)
        return tool.invoke({"id": "prj_none"})

    with pytest.raises(ToolsetError, match="404"):
        read(lambda _: True)
    assert json.loads(read(lambda _: False))["statusCode"] == 404


def test_an_argument_may_be_called_as_langchain_calls_its_own(claviger: Claviger) -> None:
    [tool] = tools(claviger, methods=["get"], tags=["projects"])
    for name in ("config", "run_manager", "self", "callbacks"):
        told = json.loads(tool.invoke({"id": "prj_none", name: "x"}))
        assert f"unknown argument `{name}`" in told["message"]


def test_the_example_works_and_catches_429(
    claviger: Claviger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    end = lambda messages: answer(messages)["result"][0]["name"]  # noqa: E731
    llm = ScriptedChatModel(steps=[(LIST, {"customAccountId": "acme"}), end])
    examples.run("langchain", claviger, monkeypatch, llm)
    assert capsys.readouterr().out == "Acme's key\n"

    llm = ScriptedChatModel(steps=[(CHECK, {"key": claviger.used_up_key()})])
    examples.run("langchain", claviger, monkeypatch, llm)
    assert capsys.readouterr().out.startswith("Come back in ")


def test_the_guide_s_example_works_with_a_url_and_a_second_credential(
    claviger: Claviger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def end(messages: list[BaseMessage]) -> Step:
        told = json.dumps(messages[-1].content)
        return "Acme's key" if "Acme's key" in told else "none"

    config = {"methods": ["read"], "tags": ["api_keys"], "require_api_token_auth": True}
    path = f"/integrated-account/{claviger.integrated_account_id}/mcp"
    url = claviger.done("POST", path, {"name": "Guide", "config": config})["url"]
    llm = ScriptedChatModel(steps=[(LIST, {"customAccountId": "acme"}), end])
    known = {"url": url, "access_key": claviger.access_key}
    scope = examples.run("langchain-mcp", claviger, monkeypatch, llm, examples.GUIDE, **known)
    asyncio.run(scope["main"]())
    assert capsys.readouterr().out == "Acme's key\n"
