"""The tools in CrewAI, whose agent asks a scripted model. Skipped where CrewAI is not installed."""

from __future__ import annotations

import json
from typing import Any

import examples
import pytest
from conftest import Claviger
from names import CHECK, CREATE, LIST, READ, ROTATE

pytest.importorskip("crewai")

from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from crewai.utilities.agent_utils import convert_tools_to_openai_schema

from claviger_toolset.crewai import ToolManager, ToolsetError, get_tools

Step = Any


class ScriptedLLM(BaseLLM):
    """Says what a test has written: a text, a call as `(name, arguments)`, or a function of the answer."""

    steps: list[Step] = []
    offered: list[Any] = []

    def call(self, messages: Any, tools: Any = None, *_: Any, **__: Any) -> Any:
        self.offered = tools or self.offered
        step = self.steps.pop(0)
        said = step(answer(messages)) if callable(step) else step
        if isinstance(said, str):
            return said
        name, arguments = said
        function = {"name": name, "arguments": json.dumps(arguments)}
        return [{"id": f"call_{len(messages)}", "type": "function", "function": function}]

    def supports_function_calling(self) -> bool:
        return True


def answer(messages: list[dict[str, Any]]) -> str:
    """What the last tool answered, as the model reads it."""
    told = [str(message["content"]) for message in messages if message.get("role") == "tool"]
    return told[-1] if told else ""


def run(claviger: Claviger, steps: list[Step], tools: Any = None, **options: Any) -> str:
    llm = ScriptedLLM(model="scripted", steps=steps)
    agent = Agent(
        role="Keeper",
        goal="Look after keys",
        backstory="You know them all.",
        llm=llm,
        tools=tools or manager(claviger).get_tools(claviger.integrated_account_id),
        **options,
    )
    task = Task(description="Go", expected_output="A sentence", agent=agent)
    return str(Crew(agents=[agent], tasks=[task], verbose=False).kickoff())


def manager(claviger: Claviger) -> ToolManager:
    return ToolManager(**claviger.connection)


def test_a_filter_leaves_some_with_or_without_a_manager(claviger: Claviger) -> None:
    filters: dict[str, Any] = {"methods": ["list"], "tags": ["api_keys"]}
    expected = sorted([LIST, CHECK])
    for found in (
        manager(claviger).get_tools(claviger.integrated_account_id, **filters),
        get_tools(claviger.integrated_account_id, **claviger.connection, **filters),
    ):
        assert sorted(tool.name for tool in found) == expected


def test_a_model_is_offered_the_gateway_s_schemas(claviger: Claviger) -> None:
    tools = manager(claviger).get_tools(claviger.integrated_account_id, methods=["create"])
    offered, _, _ = convert_tools_to_openai_schema(tools)
    made = next(one["function"] for one in offered if one["function"]["name"] == CREATE)
    assert made["description"].startswith("Makes an API key")
    properties = made["parameters"]["properties"]
    # What need not be given can be null, though CrewAI asks for all.
    assert sorted(made["parameters"]["required"]) == sorted(properties)
    assert "null" in properties["customAccountId"]["type"]
    assert properties["customAccountId"]["description"]


def test_makes_keys_finds_them_page_by_page_and_rotates_one(claviger: Claviger) -> None:
    seen: list[Any] = []

    def create(name: str) -> Step:
        arguments = {"name": name, "projectId": claviger.project_id, "customAccountId": "crew"}
        return (CREATE, {**arguments, "expiry": None, "rateLimitConfigs": None})

    def next_page(told: str) -> Step:
        page = json.loads(told)
        seen.extend(page["result"])
        return (LIST, {"customAccountId": "crew", "limit": 1, "next_cursor": page["next_cursor"]})

    def rotate(told: str) -> Step:
        seen.extend(json.loads(told)["result"])
        return (ROTATE, {"id": seen[1]["id"]})

    first_page = (LIST, {"customAccountId": "crew", "limit": 1, "next_cursor": None})
    end = lambda told: f"Rotated {json.loads(told)['result']['name']}"  # noqa: E731
    steps = [create("first"), create("second"), first_page, next_page, rotate, end]
    assert run(claviger, steps) == "Rotated second"
    assert [key["name"] for key in seen] == ["first", "second"]


def test_no_answer_is_kept_for_the_next_call(claviger: Claviger) -> None:
    arguments = {"name": "Twice", "projectId": claviger.project_id, "customAccountId": "twice"}
    ids: list[str] = []

    def again(told: str) -> Step:
        ids.append(json.loads(told)["result"]["id"])
        return (CREATE, arguments)

    def end(told: str) -> Step:
        ids.append(json.loads(told)["result"]["id"])
        return "Done"

    run(claviger, [(CREATE, arguments), again, end])
    assert len(set(ids)) == 2


def test_a_refusal_is_told_to_the_model(claviger: Claviger) -> None:
    key = claviger.used_up_key()

    def after_the_typo(told: str) -> Step:
        assert "did you mean `customAccountId`" in told
        return (READ, {"id": "key_0000000000000000"})

    def after_the_miss(told: str) -> Step:
        assert "404" in told
        return (CHECK, {"key": key})

    typo = (CREATE, {"name": "Ada", "custmoAccountId": "acme"})
    told = run(claviger, [typo, after_the_typo, after_the_miss, lambda told: told])
    assert "429" in told and "Try again in" in told
    assert key not in told


def test_429_of_a_tool_has_its_headers(claviger: Claviger) -> None:
    key = claviger.used_up_key()
    tools = manager(claviger).get_tools(claviger.integrated_account_id)
    check = next(tool for tool in tools if tool.name == CHECK)
    with pytest.raises(ToolsetError) as caught:
        check.run(key=key)
    assert caught.value.response is not None
    assert caught.value.response.status_code == 429
    assert 0 < int(caught.value.response.headers["ratelimit-reset"]) <= 3600


def test_an_access_key_that_has_ended_is_told_of_and_not_repeated(claviger: Claviger) -> None:
    account, url = claviger.integrated_account_id, claviger.url
    key, found = claviger.ended_access_key(lambda key: ToolManager(key, url).get_tools(account))
    told = run(claviger, [(LIST, {}), lambda told: told], found)
    assert "401" in told and "api_key" in told
    assert key not in told


def test_the_example_works(
    claviger: Claviger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    end = lambda told: json.loads(told)["result"][0]["name"]  # noqa: E731
    llm = ScriptedLLM(model="scripted", steps=[(LIST, {"customAccountId": "acme"}), end])
    examples.run("crewai", claviger, monkeypatch, llm)
    assert capsys.readouterr().out.endswith("Acme's key\n")
