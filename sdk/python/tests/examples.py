"""The examples of the README, run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import Claviger

README = Path(__file__).parents[1] / "README.md"


def examples() -> dict[str, str]:
    """The code of each example, by the word after the language."""
    text = README.read_text(encoding="utf-8")
    found = dict(re.findall(r"^```python (\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert text.count("\n```") == 2 * len(found), "there is code that no test runs"
    return found


def run(kind: str, claviger: Claviger, monkeypatch: pytest.MonkeyPatch, llm: Any = None) -> None:
    """Runs an example. Acme has one key, `Acme's key`."""
    monkeypatch.setenv("CLAVIGER_URL", claviger.url)
    monkeypatch.setenv("CLAVIGER_ACCESS_KEY", claviger.access_key)
    if not claviger.done("GET", "/api-keys?customAccountId=acme"):
        of_acme = {"projectId": claviger.project_id, "customAccountId": "acme"}
        claviger.done("POST", "/api-keys", {"name": "Acme's key", **of_acme})
    code = compile(examples()[kind], f"README.md, {kind}", "exec")
    exec(code, {"account_id": claviger.integrated_account_id, "llm": llm})
