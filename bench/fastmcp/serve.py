"""What Claviger's MCP endpoint is compared with: FastMCP's `from_openapi` over the same document and upstream.

It answers JSON without sessions, as Claviger does, so that both are measured with the same requests.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import httpx2
from fastmcp import FastMCP


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--openapi", type=Path, required=True, help="the document, as JSON")
    arguments.add_argument("--upstream", required=True, help="the base URL of what it describes")
    arguments.add_argument("--port", type=int, required=True, help="where on 127.0.0.1 to listen")
    given = arguments.parse_args()

    document = json.loads(given.openapi.read_text(encoding="utf-8"))
    # As many connections as calls: the pool must not be what is measured.
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=64)
    upstream = httpx2.AsyncClient(base_url=given.upstream, limits=limits)
    server = FastMCP.from_openapi(openapi_spec=document, client=upstream, name="comparison")
    server.run(
        transport="http",
        host="127.0.0.1",
        port=given.port,
        path="/mcp",
        stateless_http=True,
        json_response=True,
        show_banner=False,
        log_level="ERROR",
    )


if __name__ == "__main__":
    main()
