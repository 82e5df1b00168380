"""A tool's arguments as a request to the proxy.

What they may be is checked by the gateway, which knows the tool as it is now; here is decided only where
they go.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from .errors import ToolsetError

_VERBS = {"list": "GET", "get": "GET", "create": "POST", "update": "PATCH", "delete": "DELETE"}
_WITH_ID = {"get", "update", "delete"}
#: Parameters that are the proxy's own: a model must not choose another account by them.
_OF_THE_PROXY = {"integrated_account_id", "dry_run"}


@dataclass(frozen=True)
class GatewayRequest:
    """A request to the gateway."""

    verb: str
    #: With its segments percent-encoded.
    path: str
    query: list[tuple[str, str | int | float | bool | None]] = field(default_factory=list)
    #: Sent as JSON.
    body: Any = None


def request_for(
    tool: Mapping[str, Any], account: str, arguments: Mapping[str, Any]
) -> GatewayRequest:
    """The request that calls a tool, as the gateway describes it, of a connected account."""
    verb = _VERBS.get(tool["method"])
    segments = [tool["resource"]]
    rest = dict(arguments)
    if verb is None:
        segments.append(tool["method"])
    if tool["method"] in _WITH_ID:
        segments.append(_segment(rest.pop("id", None)))

    body: dict[str, Any] = {}
    request = GatewayRequest(verb or "POST", f"/proxy/{'/'.join(map(_quoted, segments))}")
    for name, value in rest.items():
        if _is_for_the_body(tool, name):
            body[name] = value
        elif name in _OF_THE_PROXY:
            raise _invalid(f"unknown argument `{name}`")
        else:
            request.query.extend((name, text) for text in _texts(value))
    request.query.append(("integrated_account_id", account))
    return GatewayRequest(request.verb, request.path, request.query, body or None)


def _is_for_the_body(tool: Mapping[str, Any], name: str) -> bool:
    """Addresses are written down on their way, bodies are not: whatever can goes into the body."""
    of_body = _properties(tool["body_schema"])
    if name in of_body:
        return True
    if _VERBS.get(tool["method"]) in ("GET", "DELETE"):
        return False
    # Then the body is a list or a text, and has no room beside it; or it has a member of the same name.
    has_no_room = list(of_body) == ["body"] or f"{name}_body" in of_body
    return not (name in _properties(tool["query_schema"]) and has_no_room)


def _properties(schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found = (schema or {}).get("properties")
    return found if isinstance(found, dict) else {}


def _segment(given: Any) -> str:
    if given is None or given == "":
        raise _invalid("missing argument `id`")
    if isinstance(given, (dict, list, tuple)):
        raise _invalid("argument `id` must be a text")
    text = _text(given)
    # However they are written, these two are steps in an address and not names.
    if text in (".", ".."):
        raise _invalid("argument `id` must name something")
    return text


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [text for one in value for text in _texts(one)]
    return [_text(value)]


def _text(value: Any) -> str:
    if isinstance(value, str):
        # Half a surrogate pair can be in JSON, and in no address.
        return value.encode("utf-8", "replace").decode()
    return json.dumps(value)


def _invalid(message: str) -> ToolsetError:
    return ToolsetError("invalid_arguments", message)
