"""Pydantic AI 2.x with its MCP toolset; strict tool definitions as an option."""

from dataclasses import replace

from driving import Job, run
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


async def drive(job: Job) -> None:
    if job.http:
        server = MCPToolset(job.url, headers=job.headers)
    else:
        from fastmcp.client.transports import StdioTransport

        server = MCPToolset(StdioTransport(job.command, job.args, env=job.env))
    tools = server
    if job.options.get("strict"):

        async def strict(_: object, definitions: list) -> list:
            return [replace(definition, strict=True) for definition in definitions]

        tools = server.prepared(strict)
    model = OpenAIChatModel("scripted", provider=OpenAIProvider(base_url=f"{job.model}/v1", api_key="none"))
    agent = Agent(model, toolsets=[tools])
    async with agent:
        await agent.run(job.prompt)


run(drive)
