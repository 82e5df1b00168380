"""The examples of the README, run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import Claviger

README = Path(__file__).parents[1] / "README.md"
GUIDE = Path(__file__).parents[3] / "docs/agents.md"


def examples(page: Path) -> dict[str, str]:
    """The code of each example of a page, by the word after the language."""
    text = page.read_text(encoding="utf-8")
    return dict(re.findall(r"^```python ([\w-]+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def run(
    kind: str,
    claviger: Claviger,
    monkeypatch: pytest.MonkeyPatch,
    llm: Any = None,
    page: Path = README,
    **known: Any,
) -> dict[str, Any]:
    """Runs an example, and gives what it defined. Acme has one key, `Acme's key`."""
    monkeypatch.setenv("CLAVIGER_URL", claviger.url)
    monkeypatch.setenv("CLAVIGER_ACCESS_KEY", claviger.access_key)
    if not claviger.done("GET", "/api-keys?customAccountId=acme"):
        of_acme = {"projectId": claviger.project_id, "customAccountId": "acme"}
        claviger.done("POST", "/api-keys", {"name": "Acme's key", **of_acme})
    code = compile(examples(page)[kind], f"{page.name}, {kind}", "exec")
    scope = {"account_id": claviger.integrated_account_id, "llm": llm, **known}
    exec(code, scope)
    return scope
