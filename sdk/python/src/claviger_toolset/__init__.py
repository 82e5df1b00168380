"""Tools of a Claviger gateway, for no framework in particular.

``claviger_toolset.langchain`` and ``claviger_toolset.crewai`` have them as those of a framework.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .connection import Connection
from .errors import FailedResponse, ToolsetError
from .requests import GatewayRequest, request_for

__all__ = ["FailedResponse", "GatewayTool", "Toolset", "ToolsetError"]


@dataclass(frozen=True)
class GatewayTool:
    """A tool that can be called."""

    name: str
    description: str
    #: What it is a method of: ``api_keys``.
    resource: str
    #: ``list``, ``get``, ``create``, ``update``, ``delete`` or a custom name.
    method: str
    #: JSON Schema of all arguments: a flat object.
    input_schema: dict[str, Any]
    tags: list[str]
    #: Hints of the Model Context Protocol: ``readOnlyHint``, ``destructiveHint``, …
    annotations: dict[str, Any]
    _account: str = field(repr=False)
    _described: Mapping[str, Any] = field(repr=False)
    _connection: Connection = field(repr=False)

    def call(self, arguments: Mapping[str, Any]) -> Any:
        """Calls it, and gives the gateway's answer.

        What was asked for is in ``result``; a list has ``next_cursor``, which the next call takes as it is.
        """
        return self._connection.send(self._request(arguments))

    async def acall(self, arguments: Mapping[str, Any]) -> Any:
        """Does the same without keeping others waiting. Cancelling it ends the request."""
        return await self._connection.send_async(self._request(arguments))

    def _request(self, arguments: Mapping[str, Any]) -> GatewayRequest:
        return request_for(self._described, self._account, arguments)


class Toolset:
    """The gateway's tools.

    ``api_key`` is an access key that may use the gateway, else that in ``CLAVIGER_ACCESS_KEY``; ``base_url``
    the address of the Claviger, else that in ``CLAVIGER_URL``; ``timeout`` in seconds.
    """

    def __init__(
        self, api_key: str | None = None, base_url: str | None = None, timeout: float = 120
    ) -> None:
        self._connection = Connection(api_key, base_url, timeout)

    def tools(
        self,
        account_id: str,
        *,
        methods: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        schema_profile: str | None = None,
    ) -> list[GatewayTool]:
        """The tools of a connected account, as the gateway has them now.

        ``methods`` are ``read``, ``write``, ``custom`` or exact names of methods, ``tags`` groups of tools; a
        tool has to fit both. With ``schema_profile="openai_strict"``, schemas have every argument required and
        nullable; a null is then to be left out of the call.
        """
        if not isinstance(account_id, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", account_id):
            message = "`account_id` must be the id of a connected account"
            raise ToolsetError("invalid_options", f"{message}: GET /integrated-account lists them")
        given = {"methods": methods, "tags": tags}
        for name, values in given.items():
            if isinstance(values, str):
                raise ToolsetError("invalid_options", f"`{name}` must be a list of texts")
        request = GatewayRequest(
            "GET",
            f"/integrated-account/{account_id}/tools",
            [(name, ",".join(values)) for name, values in given.items() if values is not None],
        )
        if schema_profile is not None:
            request.query.append(("schema_profile", schema_profile))
        answer = self._connection.send(request)
        described = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(described, list):
            message = "the answer has no tools in it: is `base_url` that of a Claviger?"
            raise ToolsetError("refused", message)
        return [self._tool(account_id, tool) for tool in described]

    def _tool(self, account_id: str, described: Mapping[str, Any]) -> GatewayTool:
        return GatewayTool(
            name=described["name"],
            description=described["description"],
            resource=described["resource"],
            method=described["method"],
            input_schema=described["input_schema"],
            tags=described["tags"],
            annotations=described["annotations"],
            _account=account_id,
            _described=described,
            _connection=self._connection,
        )
