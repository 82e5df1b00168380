"""The official Python SDK against an MCP server over the built-in connector, in each era that it speaks."""

import asyncio
import json
import sys

from mcp import Client

CREATE = "create_a_the_auth_api_api_key"
READ = "get_single_the_auth_api_api_key_by_id"


async def tried(url, mode):
    async with Client(url, mode=mode) as client:
        tools = (await client.list_tools()).tools
        assert any(tool.name == CREATE for tool in tools), mode
        made = await client.call_tool(CREATE, {"name": f"Made in mode {mode}"})
        assert not made.is_error, made
        assert json.loads(made.content[0].text) == made.structured_content
        key = made.structured_content["result"]
        read = await client.call_tool(READ, {"id": key["id"]})
        assert read.structured_content["result"]["name"] == key["name"], read
        refused = await client.call_tool(READ, {"id": "key_0000000000000000"})
        assert refused.is_error and json.loads(refused.content[0].text)["statusCode"] == 404
        print(f"Python SDK, {mode}: {len(tools)} tools, and calls")


for mode in ("legacy", "auto", "2026-07-28"):
    asyncio.run(tried(sys.argv[1], mode))
