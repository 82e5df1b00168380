"""One running Claviger for the tests, and what they ask of it beside the tools."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

# Nothing here is told to anybody.
os.environ.update(CREWAI_DISABLE_TELEMETRY="true", OTEL_SDK_DISABLED="true", LANGSMITH_TRACING="false")

BINARY = Path(__file__).parents[3] / "target/debug/claviger"


class Claviger:
    """The running program, with the credentials of its first start."""

    def __init__(self, bootstrap: dict[str, Any]) -> None:
        self.url: str = bootstrap["url"]
        self.access_key: str = bootstrap["accessKey"]
        self.account_id: str = bootstrap["accountId"]
        self.project_id: str = bootstrap["projectId"]
        self.integrated_account_id: str = bootstrap["integratedAccountId"]
        self.connection = {"api_key": self.access_key, "base_url": self.url}

    def done(self, verb: str, path: str, body: Any = None) -> Any:
        """Sends a request that has to succeed, and gives its body."""
        headers = {"x-api-key": self.access_key}
        answer = httpx.request(verb, self.url + path, json=body, headers=headers)
        assert answer.is_success, f"{verb} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def used_up_key(self) -> str:
        """A full key that has passed once and may not again for an hour: asking of it answers 429."""
        limit = {"rateLimit": 1, "rateLimitTtl": 3600}
        body = {"name": "Used up", "projectId": self.project_id, "rateLimitConfigs": limit}
        key: str = self.done("POST", "/api-keys", body)["key"]
        self.done("POST", "/api-keys/verify", {"key": key})
        return key

    def ended_access_key(self, use: Any) -> Any:
        """What `use` makes of an access key, which ends after that."""
        made = self.done("POST", "/access-keys", {"name": "Ended", "accountId": self.account_id})
        used = use(made["key"])
        self.done("DELETE", f"/access-keys/{made['id']}")
        return made["key"], used


@pytest.fixture(scope="session")
def claviger() -> Iterator[Claviger]:
    binary = os.environ.get("CLAVIGER_BIN", str(BINARY))
    with tempfile.TemporaryDirectory(prefix="claviger-python-") as folder:
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--data-dir", folder]
        program = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            yield Claviger(_bootstrap(program, Path(folder, "bootstrap.json")))
        finally:
            program.terminate()
            program.communicate(timeout=30)


def _bootstrap(program: subprocess.Popen[str], file: Path) -> dict[str, Any]:
    """What the program writes when it is ready. It says so in its log, after that."""
    assert program.stdout is not None
    said = []
    for line in program.stdout:
        said.append(line)
        if file.exists():
            bootstrap: dict[str, Any] = json.loads(file.read_text())
            return bootstrap
    raise AssertionError(f"the program ended before it was ready:\n{''.join(said)}")
