"""Microsoft's Agent Framework: an agent with its MCP tools."""

import httpx2
from agent_framework import Agent, MCPStdioTool, MCPStreamableHTTPTool
from agent_framework.openai import OpenAIChatCompletionClient
from driving import Job, run


async def drive(job: Job) -> None:
    model = OpenAIChatCompletionClient("scripted", base_url=f"{job.model}/v1", api_key="none")
    async with httpx2.AsyncClient(headers=job.headers, timeout=60) as http:
        if job.http:
            tool = MCPStreamableHTTPTool("fenqun", job.url, http_client=http, load_prompts=False)
        else:
            tool = MCPStdioTool("fenqun", job.command, args=job.args, env=job.env, load_prompts=False)
        async with tool, Agent(model, tools=[tool]) as agent:
            await agent.run(job.prompt)


run(drive)
