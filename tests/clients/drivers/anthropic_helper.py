"""Anthropic's SDK: its helper makes tools of an MCP session's tools, its tool runner calls them."""

from contextlib import AsyncExitStack

from anthropic import AsyncAnthropic
from anthropic.lib.tools.mcp import async_mcp_tool
from driving import Job, run
from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client


async def drive(job: Job) -> None:
    async with AsyncExitStack() as stack:
        if job.http:
            import httpx2

            http = await stack.enter_async_context(httpx2.AsyncClient(headers=job.headers, timeout=60))
            streams = await stack.enter_async_context(streamable_http_client(job.url, http_client=http))
        else:
            server = StdioServerParameters(command=job.command, args=job.args, env=job.env)
            streams = await stack.enter_async_context(stdio_client(server))
        session = await stack.enter_async_context(ClientSession(streams[0], streams[1]))
        await session.initialize()
        tools = [async_mcp_tool(tool, session) for tool in (await session.list_tools()).tools]
        client = AsyncAnthropic(api_key="none", base_url=job.model, max_retries=0)
        runner = client.beta.messages.tool_runner(
            model="scripted",
            max_tokens=1000,
            tools=tools,
            messages=[{"role": "user", "content": job.prompt}],
        )
        await runner.until_done()


run(drive)
