"""What every framework's tools are made of, against the running program."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import examples
import httpx
import pytest
from conftest import Claviger
from names import CHECK, CREATE, LIST, LOOK_UP, READ, REVOKE, ROTATE

from claviger_toolset import GatewayTool, Toolset, ToolsetError


def tools(claviger: Claviger, **filters: Any) -> dict[str, GatewayTool]:
    listed = Toolset(**claviger.connection).tools(claviger.integrated_account_id, **filters)
    return {tool.name: tool for tool in listed}


def test_every_tool_is_there_and_a_filter_leaves_some(claviger: Claviger) -> None:
    path = f"/integrated-account/{claviger.integrated_account_id}/tools"
    everything = [tool["name"] for tool in claviger.done("GET", path)["result"]]
    assert list(tools(claviger)) == everything
    assert sorted(tools(claviger, methods=["read"], tags=["projects", "accounts"])) == [
        "get_single_the_auth_api_account_by_id",
        "get_single_the_auth_api_project_by_id",
        "list_all_the_auth_api_accounts",
        "list_all_the_auth_api_projects",
    ]


def test_a_filter_that_leaves_nothing_is_refused(claviger: Claviger) -> None:
    for filters in ({"methods": []}, {"tags": ["no-such-tag"]}):
        with pytest.raises(ToolsetError) as caught:
            tools(claviger, **filters)
        assert caught.value.code == "invalid_filter"


def test_a_key_is_made_read_rotated_and_revoked(claviger: Claviger) -> None:
    known = tools(claviger)
    arguments = {"name": "Ada", "projectId": claviger.project_id, "customMetaData": {"plan": "pro"}}
    made = known[CREATE].call(arguments)["result"]
    assert made["key"].startswith("live_")
    assert known[READ].call({"id": made["id"]})["result"]["name"] == "Ada"
    rotated = known[ROTATE].call({"id": made["id"]})["result"]
    assert rotated["key"] != made["key"]
    known[REVOKE].call({"id": rotated["id"], "reason": "superseded"})
    assert known[READ].call({"id": rotated["id"]})["result"]["isActive"] is False


def test_a_key_that_is_looked_up_is_in_no_address(
    claviger: Claviger, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tools(claviger)
    arguments = {"name": "Looked up", "projectId": claviger.project_id}
    made = known[CREATE].call(arguments)["result"]
    asked: list[str] = []
    request = httpx.Client.request

    def seen(client: httpx.Client, method: str, url: str, **rest: Any) -> httpx.Response:
        asked.append(url)
        return request(client, method, url, **rest)

    monkeypatch.setattr(httpx.Client, "request", seen)
    assert known[LOOK_UP].call({"key": made["key"]})["result"]["id"] == made["id"]
    assert len(asked) == 1
    assert made["key"] not in asked[0]


def test_a_list_is_paged_by_its_cursor_also_without_waiting(claviger: Claviger) -> None:
    known = tools(claviger)
    for name in ("one", "two", "three"):
        of_it = {"name": name, "projectId": claviger.project_id, "customAccountId": "paged"}
        known[CREATE].call(of_it)

    async def names() -> list[str]:
        found, cursor = [], None
        while True:
            page = {"customAccountId": "paged", "limit": 2, "next_cursor": cursor}
            answer = await known[LIST].acall(page)
            found += [key["name"] for key in answer["result"]]
            cursor = answer.get("next_cursor")
            if not cursor:
                return found

    assert asyncio.run(names()) == ["one", "two", "three"]


def test_429_has_its_headers(claviger: Claviger) -> None:
    key = claviger.used_up_key()
    with pytest.raises(ToolsetError) as caught:
        tools(claviger)[CHECK].call({"key": key})
    error = caught.value
    assert error.response is not None
    assert error.response.status_code == 429
    assert 0 < int(error.response.headers["ratelimit-reset"]) <= 3600
    assert "Try again in" in str(error)
    assert key not in f"{error!r} {error.response!r} {error.__cause__!r} {error.__context__!r}"


def test_an_unknown_argument_is_refused_with_the_nearest_name(claviger: Claviger) -> None:
    known = tools(claviger)
    for name in (CREATE, LIST):
        with pytest.raises(ToolsetError, match="did you mean `name`") as caught:
            known[name].call({"nmae": "Ada"})
        assert caught.value.is_for_the_model


def test_an_id_stays_one_segment_of_the_address(claviger: Claviger) -> None:
    known = tools(claviger)
    strange = ["../accounts", "a/b", "..%2f..", "%2e%2e", "a?b=c#d", "\ud800", "key_ü", "a\r\nb"]
    for given in strange:
        with pytest.raises(ToolsetError) as caught:
            known[READ].call({"id": given})
        # Either the gateway refuses it, or there is no such key; nothing else is read.
        assert caught.value.response is not None, given
        assert caught.value.response.status_code in (400, 404), given
    for given in (".", "..", "", None, {}, []):
        with pytest.raises(ToolsetError) as caught:
            known[REVOKE].call({"id": given})
        assert (caught.value.code, caught.value.response) == ("invalid_arguments", None)


def test_a_model_cannot_choose_another_account(claviger: Claviger) -> None:
    known = tools(claviger)
    arguments = {"name": "Stays", "projectId": claviger.project_id}
    stays = known[CREATE].call(arguments)["result"]["id"]
    of_its_own: dict[str, dict[str, Any]] = {
        LIST: {},
        REVOKE: {"id": stays},
        CREATE: {**arguments, "name": "Sneaked"},
    }
    for sneaked in ("integrated_account_id", "dry_run"):
        for name, own in of_its_own.items():
            with pytest.raises(ToolsetError, match=f"unknown argument `{sneaked}`") as caught:
                known[name].call({**own, sneaked: "true"})
            assert caught.value.code == "invalid_arguments"
    assert known[READ].call({"id": stays})["result"]["isActive"] is True
    assert "Sneaked" not in [key["name"] for key in known[LIST].call({"limit": 100})["result"]]


def test_an_access_key_that_has_ended_is_refused(claviger: Claviger) -> None:
    account, url = claviger.integrated_account_id, claviger.url
    key, known = claviger.ended_access_key(lambda key: Toolset(key, url).tools(account))
    with pytest.raises(ToolsetError, match="expired as `api_key`") as caught:
        known[0].call({})
    assert caught.value.response is not None
    assert caught.value.response.status_code == 401
    assert key not in f"{caught.value!r} {caught.value.response!r} {known[0]!r}"
    assert not caught.value.is_for_the_model


def test_who_gives_up_is_not_kept_and_silence_is_not_waited_for(claviger: Claviger) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ToolsetError) as caught:
            Toolset("live_access_x", url, timeout=0.05).tools("cac_1")
        assert caught.value.code == "timeout"

        tool = tools(claviger)[LIST]
        tool._connection._base_url = url

        async def cancelled() -> None:
            call = asyncio.ensure_future(tool.acall({}))
            await asyncio.get_running_loop().sock_accept(silent)
            call.cancel()
            await call

        silent.setblocking(False)
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(cancelled())


def test_nobody_there_is_said(claviger: Claviger) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ToolsetError, match="is the Claviger running there") as caught:
        Toolset("live_access_x", f"http://127.0.0.1:{port}").tools("cac_1")
    assert caught.value.code == "not_connected"


def test_options_that_cannot_be_right_are_refused(claviger: Claviger) -> None:
    key, url = claviger.access_key, claviger.url
    wrong = [
        (key, "keys.example.com"),
        (key, "file:///etc"),
        (key, "https://ada:secret@keys.example.com"),
        ("", url),
        ("live_access_\nx", url),
        (None, url),
    ]
    for api_key, base_url in wrong:
        with pytest.raises(ToolsetError) as caught:
            Toolset(api_key, base_url)
        assert caught.value.code == "invalid_options"
        assert "secret" not in str(caught.value) and "live_access" not in str(caught.value)
    toolset = Toolset(key, url)
    for account in ("", "../accounts", "a/b", None):
        with pytest.raises(ToolsetError) as caught:
            toolset.tools(account)  # type: ignore[arg-type]
        assert caught.value.code == "invalid_options"
    with pytest.raises(ToolsetError, match="must be a list"):
        toolset.tools(claviger.integrated_account_id, methods="read")
    with pytest.raises(ToolsetError, match="^404"):
        toolset.tools("cac_nobodys")


def test_no_code_in_the_readme_goes_without_a_test() -> None:
    kinds = examples.examples(examples.README)
    assert sorted(kinds) == ["crewai", "langchain", "plain"]
    assert examples.README.read_text(encoding="utf-8").count("\n```") == 2 * len(kinds)
    assert sorted(examples.examples(examples.GUIDE)) == ["langchain-mcp"]


def test_the_example_works(
    claviger: Claviger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    examples.run("plain", claviger, monkeypatch)
    assert capsys.readouterr().out == "Acme's key\n"
