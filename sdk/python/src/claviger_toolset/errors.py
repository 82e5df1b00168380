"""What went wrong, in the shape that users of HTTP clients know: ``error.response.status_code``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FOR_THE_MODEL = {400, 404, 409, 422}


@dataclass(frozen=True)
class FailedResponse:
    """The answer of the gateway that was no success."""

    status_code: int
    #: Among them ``ratelimit-reset`` and ``retry-after``, in seconds, where the product tells.
    headers: Mapping[str, str]
    #: The gateway's error object; ``None`` where something else stood in its place.
    data: Any


class ToolsetError(Exception):
    """A call that has no result. It repeats neither the access key nor an argument's value."""

    def __init__(self, code: str, message: str, response: FailedResponse | None = None) -> None:
        super().__init__(message)
        #: The kind of failure: ``invalid_arguments``, ``unknown_tool``, ``not_connected``, …
        self.code = code
        #: What the gateway answered; absent where nothing was sent, or nothing came back.
        self.response = response

    @property
    def is_for_the_model(self) -> bool:
        """Whether other arguments may succeed, so that it is worth telling the model."""
        if self.code == "invalid_arguments":
            return True
        return self.response is not None and self.response.status_code in _FOR_THE_MODEL

    def for_the_model(self) -> dict[str, Any]:
        """What a model is told of it."""
        data = self.response.data if self.response is not None else None
        if isinstance(data, dict) and isinstance(data.get("message"), str):
            return data
        return {"error": self.code, "message": str(self)}


def refused(response: FailedResponse) -> ToolsetError:
    """The error of an answer, with what to do about it."""
    data = response.data if isinstance(response.data, dict) else {}
    code, said = data.get("code"), data.get("message")
    advice = _advice(response, data.get("is_remote_error") is True)
    message = f"{response.status_code}: {said if isinstance(said, str) else 'no reason was given'}"
    if advice is not None:
        message = f"{message}. {advice}"
    return ToolsetError(code if isinstance(code, str) else "refused", message, response)


def _advice(response: FailedResponse, is_remote: bool) -> str | None:
    status = response.status_code
    if 300 <= status < 400:
        return "Give the address that this one leads to as `base_url`"
    if not isinstance(response.data, dict):
        return "That is no answer of a Claviger: is `base_url` right?"
    if status == 401:
        if is_remote:
            return "The product refused the connected account's credentials: enter them anew"
        return "Give an access key that exists and has not expired as `api_key`"
    if status == 403:
        if is_remote:
            return "The connected account's credentials do not allow this"
        return "Give an access key whose role allows this as `api_key`"
    if status == 429:
        seconds = response.headers.get("ratelimit-reset") or response.headers.get("retry-after")
        return "Try again later" if seconds is None else f"Try again in {seconds} s"
    return None
