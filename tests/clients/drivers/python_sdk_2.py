"""The official Python SDK, 2.x: its `Client`, without a model."""

from contextlib import AsyncExitStack

import httpx2
from driving import Data, Job, run, walk
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client


async def drive(job: Job) -> None:
    async with AsyncExitStack() as stack:
        if job.http:
            http = await stack.enter_async_context(httpx2.AsyncClient(headers=job.headers, timeout=60))
            server = streamable_http_client(job.url, http_client=http)
        else:
            server = StdioServerParameters(command=job.command, args=job.args, env=job.env)
        client = await stack.enter_async_context(Client(server))
        job.offers(tool.name for tool in (await client.list_tools()).tools)

        async def call(tool: str, arguments: Data) -> Data:
            result = await client.call_tool(tool, arguments)
            text = "\n".join(getattr(block, "text", str(block)) for block in result.content)
            return {"text": text, "is_error": result.is_error, "structured": result.structured_content}

        async def read(uri: str) -> str:
            return "".join(getattr(part, "text", "") for part in (await client.read_resource(uri)).contents)

        await walk(job, call, read)


run(drive)
