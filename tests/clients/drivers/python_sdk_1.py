"""The official Python SDK, 1.x: a session over a transport, without a model."""

from contextlib import AsyncExitStack

import httpx
from driving import Data, Job, run, walk
from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client


async def drive(job: Job) -> None:
    async with AsyncExitStack() as stack:
        if job.http:
            client = await stack.enter_async_context(httpx.AsyncClient(headers=job.headers, timeout=60))
            streams = await stack.enter_async_context(streamable_http_client(job.url, http_client=client))
        else:
            server = StdioServerParameters(command=job.command, args=job.args, env=job.env)
            streams = await stack.enter_async_context(stdio_client(server))
        session = await stack.enter_async_context(ClientSession(streams[0], streams[1]))
        await session.initialize()
        job.offers(tool.name for tool in (await session.list_tools()).tools)

        async def call(tool: str, arguments: Data) -> Data:
            result = await session.call_tool(tool, arguments)
            text = "\n".join(getattr(block, "text", str(block)) for block in result.content)
            return {"text": text, "is_error": result.isError, "structured": result.structuredContent}

        async def read(uri: str) -> str:
            return "".join(getattr(part, "text", "") for part in (await session.read_resource(uri)).contents)

        await walk(job, call, read)


run(drive)
