"""OpenAI's Agents SDK, with its default model class (responses); strict schemas as an option."""

from agents import Agent, Runner, set_default_openai_client, set_tracing_disabled
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from driving import Job, run
from openai import AsyncOpenAI


async def drive(job: Job) -> None:
    set_tracing_disabled(True)
    set_default_openai_client(
        AsyncOpenAI(base_url=f"{job.model}/v1", api_key="none", max_retries=0), use_for_tracing=False
    )
    if job.http:
        server = MCPServerStreamableHttp({"url": job.url, "headers": job.headers}, client_session_timeout_seconds=60)
    else:
        parameters = {"command": job.command, "args": job.args, "env": job.env}
        server = MCPServerStdio(parameters, client_session_timeout_seconds=60)
    async with server:
        strict = {"convert_schemas_to_strict": bool(job.options.get("strict"))}
        agent = Agent("analyst", model="scripted", mcp_servers=[server], mcp_config=strict)
        await Runner.run(agent, job.prompt, max_turns=40)


run(drive)
