"""Where an access key goes: to the address that was given for it, and to no other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from conftest import Claviger
from names import CREATE, LIST

from claviger_toolset import Toolset, ToolsetError

KEY = "live_access_not-to-be-told"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

#: The first line of a request, and what it presented.
Heard = list[tuple[str, str | None]]


@contextmanager
def server(status: int, location: str = "") -> Iterator[tuple[str, Heard]]:
    """A server that answers always the same: its address, and what it has heard."""
    heard: Heard = []

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append((self.requestline, self.headers["authorization"]))
            self.send_response(status)
            if location:
                self.send_header("location", location)
            self.send_header("content-length", "0")
            self.send_header("connection", "close")
            self.end_headers()

        do_POST = do_CONNECT = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as listening:
        Thread(target=listening.serve_forever, args=(0.01,)).start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}", heard
        finally:
            listening.shutdown()


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """What a proxy hears that the environment names for everything."""
    with server(403) as (proxy, heard):
        for name in PROXIES:
            monkeypatch.delenv(name.lower(), raising=False)
            monkeypatch.setenv(name, "" if name == "NO_PROXY" else proxy)
        yield heard


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_not_followed(claviger: Claviger, status: int) -> None:
    listed = Toolset(**claviger.connection).tools(claviger.integrated_account_id)
    known = {tool.name: tool for tool in listed}
    with server(200) as (elsewhere, told):
        for leads_to in (f"{elsewhere}/proxy", "/elsewhere"):
            with server(status, leads_to) as (url, heard):
                led = Toolset(KEY, url)
                create, find = (replace(known[name], _connection=led._connection) for name in (CREATE, LIST))
                for asked in (
                    lambda: led.tools("cac_1"),
                    lambda: create.call({"name": "Ada"}),
                    lambda: find.call({}),
                    lambda: asyncio.run(create.acall({"name": "Ada"})),
                    lambda: asyncio.run(find.acall({})),
                ):
                    with pytest.raises(ToolsetError, match="leads to as `base_url`") as caught:
                        asked()
                    assert caught.value.response is not None
                    assert caught.value.response.status_code == status
                    assert KEY not in f"{caught.value!r} {caught.value.response!r}"
            assert [key for _, key in heard] == [f"Bearer {KEY}"] * 5
            assert not [line for line, _ in heard if "elsewhere" in line]
    assert told == []


def test_over_http_a_proxy_of_the_environment_is_not_asked(claviger: Claviger, proxied: Heard) -> None:
    tools = Toolset(**claviger.connection).tools(claviger.integrated_account_id)
    find = next(tool for tool in tools if tool.name == LIST)
    assert find.call({})["result"]
    assert asyncio.run(find.acall({}))["result"]
    # It is there, and is asked by whoever believes the environment.
    assert httpx.get(claviger.url).status_code == 403
    assert len(proxied) == 1


def test_over_https_a_proxy_of_the_environment_sees_the_host_alone(proxied: Heard) -> None:
    with pytest.raises(ToolsetError) as caught:
        Toolset(KEY, "https://keys.example.com").tools("cac_1")
    assert caught.value.code == "not_connected"
    assert proxied == [("CONNECT keys.example.com:443 HTTP/1.1", None)]


def test_what_a_netrc_says_takes_not_the_place_of_the_key(
    claviger: Claviger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login ada password not-the-key\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    presented = []

    def seen(_: Any, request: httpx.Request) -> httpx.Response:
        presented.append(request.headers.get_list("authorization"))
        return httpx.Response(200, json={"result": []})

    async def seen_too(transport: Any, request: httpx.Request) -> httpx.Response:
        return seen(transport, request)

    tools = Toolset(**claviger.connection).tools(claviger.integrated_account_id)
    find = next(tool for tool in tools if tool.name == LIST)
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", seen)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", seen_too)
    for url in ("http://keys.example.com", "https://keys.example.com"):
        there = replace(find, _connection=Toolset(KEY, url)._connection)
        there.call({})
        asyncio.run(there.acall({}))
    assert presented == [[f"Bearer {KEY}"]] * 4
