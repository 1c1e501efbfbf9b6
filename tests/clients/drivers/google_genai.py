"""Google's Gen AI SDK: an MCP session handed over as a tool, with the SDK's own conversion and automatic calls."""

from contextlib import AsyncExitStack

from driving import Job, run
from google import genai
from google.genai import types
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
        client = genai.Client(api_key="none", http_options=types.HttpOptions(base_url=job.model))
        calls = types.AutomaticFunctionCallingConfig(maximum_remote_calls=40)
        # As a dict: of a GenerateContentConfig it makes a deep copy, which a session does not stand.
        config = {"tools": [session], "automatic_function_calling": calls}
        await client.aio.models.generate_content(model="scripted", contents=job.prompt, config=config)


run(drive)
