"""The tools as those of LangChain and LangGraph."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.tools import BaseTool
from pydantic import PrivateAttr

from . import GatewayTool, Toolset, ToolsetError

__all__ = ["ToolManager", "ToolsetError", "get_tools"]

#: Which failures end the run. The others are told to the model, as the tool's answer.
RaiseOn = Callable[[ToolsetError], bool]


def _what_the_model_cannot_mend(error: ToolsetError) -> bool:
    return not error.is_for_the_model


class ClavigerTool(BaseTool):
    """A tool of the gateway."""

    _tool: GatewayTool = PrivateAttr()
    _raise_on: RaiseOn = PrivateAttr()

    # No argument of a tool has the name of a parameter here, whatever it is called.
    def _run(self, /, **arguments: Any) -> str:
        try:
            return json.dumps(self._tool.call(arguments), ensure_ascii=False)
        except ToolsetError as error:
            return self._told(error)

    async def _arun(self, /, **arguments: Any) -> str:
        try:
            return json.dumps(await self._tool.acall(arguments), ensure_ascii=False)
        except ToolsetError as error:
            return self._told(error)

    def _told(self, error: ToolsetError) -> str:
        if self._raise_on(error):
            raise error
        return json.dumps(error.for_the_model(), ensure_ascii=False)


class ToolManager:
    """Gives LangChain the tools of connected accounts. It takes what ``Toolset`` takes."""

    def __init__(
        self, api_key: str | None = None, base_url: str | None = None, timeout: float = 120
    ) -> None:
        self._toolset = Toolset(api_key, base_url, timeout)

    def get_tools(
        self,
        account_id: str,
        *,
        methods: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        raise_on: RaiseOn = _what_the_model_cannot_mend,
    ) -> list[BaseTool]:
        """The tools of a connected account, for ``llm.bind_tools(tools)`` or an agent.

        ``raise_on`` says which failures are raised. If it is not given, those are that other arguments would
        not mend: all but 400, 404, 409 and 422.
        """
        tools = self._toolset.tools(account_id, methods=methods, tags=tags)
        return [_wrap(tool, raise_on) for tool in tools]


def get_tools(
    account_id: str,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    timeout: float = 120,
    methods: Sequence[str] | None = None,
    tags: Sequence[str] | None = None,
    raise_on: RaiseOn = _what_the_model_cannot_mend,
) -> list[BaseTool]:
    """The same without an object."""
    manager = ToolManager(api_key, base_url, timeout)
    return manager.get_tools(account_id, methods=methods, tags=tags, raise_on=raise_on)


def _wrap(tool: GatewayTool, raise_on: RaiseOn) -> BaseTool:
    made = ClavigerTool(
        name=tool.name,
        description=tool.description,
        args_schema=tool.input_schema,
        tags=tool.tags,
        metadata={
            "resource": tool.resource,
            "method": tool.method,
            "annotations": tool.annotations,
        },
    )
    made._tool = tool
    made._raise_on = raise_on
    return made
