"""The tools as those of CrewAI.

CrewAI asks models to give every argument (`strict`), so a null stands for one that is not given; and it
tells the model itself of what a tool raises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from crewai.tools import BaseTool
from pydantic import BaseModel, ConfigDict, PrivateAttr

from . import GatewayTool, Toolset, ToolsetError

__all__ = ["ToolManager", "ToolsetError", "get_tools"]


def _never(_arguments: Any = None, _result: Any = None) -> bool:
    """What the gateway answers is true once: an answer that is kept would be told for the next one."""
    return False


class ClavigerTool(BaseTool):
    """A tool of the gateway."""

    _tool: GatewayTool = PrivateAttr()

    # No argument of a tool has the name of a parameter here, whatever it is called.
    def _run(self, /, **arguments: Any) -> str:
        return json.dumps(self._tool.call(_given(arguments)), ensure_ascii=False)

    async def _arun(self, /, **arguments: Any) -> str:
        return json.dumps(await self._tool.acall(_given(arguments)), ensure_ascii=False)


class ToolManager:
    """Gives CrewAI the tools of connected accounts. It takes what ``Toolset`` takes."""

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
    ) -> list[BaseTool]:
        """The tools of a connected account, for ``Agent(tools=tools)``."""
        tools = self._toolset.tools(
            account_id, methods=methods, tags=tags, schema_profile="openai_strict"
        )
        return [_wrap(tool) for tool in tools]


def get_tools(
    account_id: str,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    timeout: float = 120,
    methods: Sequence[str] | None = None,
    tags: Sequence[str] | None = None,
) -> list[BaseTool]:
    """The same without an object."""
    manager = ToolManager(api_key, base_url, timeout)
    return manager.get_tools(account_id, methods=methods, tags=tags)


def _wrap(tool: GatewayTool) -> BaseTool:
    made = ClavigerTool(
        name=tool.name,
        description=tool.description,
        args_schema=_model(tool),
        cache_function=_never,
    )
    made._tool = tool
    return made


def _model(tool: GatewayTool) -> type[BaseModel]:
    """A model that shows the gateway's schema and takes everything: the gateway checks it."""

    class Arguments(BaseModel):
        model_config = ConfigDict(extra="allow")

        @classmethod
        def model_json_schema(cls, *_: Any, **__: Any) -> dict[str, Any]:
            # Whoever gets it changes it.
            copied: dict[str, Any] = json.loads(json.dumps(tool.input_schema))
            return copied

    return Arguments


def _given(value: Any) -> Any:
    """A value without the nulls that stand for what is not given."""
    if isinstance(value, Mapping):
        return {name: _given(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_given(one) for one in value]
    return value
