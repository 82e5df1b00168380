"""Requests to one gateway with one access key."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

import httpx

from .errors import FailedResponse, ToolsetError, refused
from .requests import GatewayRequest


class Connection:
    """Where the gateway is, and who asks."""

    def __init__(self, api_key: str | None, base_url: str | None, timeout: float) -> None:
        key = _given(api_key, "CLAVIGER_ACCESS_KEY", "api_key")
        # What is no text of a header would be repeated by the error of whoever refuses it.
        if not re.fullmatch(r"[\x21-\x7e]+", key):
            raise ToolsetError("invalid_options", "`api_key` has characters that no access key has")
        self._base_url = _address(_given(base_url, "CLAVIGER_URL", "base_url"))
        self._timeout = timeout
        # The key is for this address, and for none that it leads to. A proxy that the environment names is a
        # tunnel over https; over http it would read the key.
        self._options: dict[str, Any] = {
            "timeout": timeout,
            "follow_redirects": False,
            "trust_env": self._base_url.startswith("https:"),
        }
        # Kept where no `repr` of this object looks.
        self._headers: Callable[[], dict[str, str]] = lambda: {
            "authorization": f"Bearer {key}",
            "accept": "application/json",
        }
        self._client = httpx.Client(**self._options)

    def send(self, request: GatewayRequest) -> Any:
        """Sends a request, and gives the body of an answer that is a success."""
        try:
            return _body(self._client.request(**self._of(request)))
        except httpx.TransportError as error:
            raise self._not_answered(error) from None

    async def send_async(self, request: GatewayRequest) -> Any:
        """Does the same without keeping others waiting. Cancelling it ends the request."""
        try:
            # One that is kept would be of the loop in which it was made.
            async with httpx.AsyncClient(**self._options) as client:
                return _body(await client.request(**self._of(request)))
        except httpx.TransportError as error:
            raise self._not_answered(error) from None

    def _of(self, request: GatewayRequest) -> dict[str, Any]:
        parameters = httpx.QueryParams(request.query)
        url = self._base_url + request.path + (f"?{parameters}" if request.query else "")
        of_body = {} if request.body is None else {"json": request.body}
        return {"method": request.verb, "url": url, "headers": self._headers(), **of_body}

    def _not_answered(self, error: httpx.TransportError) -> ToolsetError:
        if isinstance(error, httpx.TimeoutException):
            message = f"no answer within {self._timeout} s: ask for less, or raise `timeout`"
            return ToolsetError("timeout", message)
        message = f"cannot reach {self._base_url}: is the Claviger running there?"
        return ToolsetError("not_connected", f"{message} ({type(error).__name__})")


def _given(value: str | None, variable: str, option: str) -> str:
    found = value if value is not None else os.environ.get(variable)
    if not found:
        message = f"give `{option}`, or set the environment variable {variable}"
        raise ToolsetError("invalid_options", message)
    return found


def _address(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    is_address = url.scheme in ("http", "https") and url.host != ""
    if not is_address or url.userinfo or url.query or url.fragment:
        message = "`base_url` must be an address as `https://keys.example.com`"
        raise ToolsetError("invalid_options", message)
    return str(url).rstrip("/")


def _body(response: httpx.Response) -> Any:
    try:
        data = json.loads(response.content)
    except ValueError:
        data = None
    if response.is_success and data is not None:
        return data
    raise refused(FailedResponse(response.status_code, response.headers, data))
