"""CrewAI: an agent with the tools of crewai-tools' MCP adapter."""

import asyncio

from crewai import LLM, Agent, Crew, Task
from crewai_tools import MCPServerAdapter
from driving import Job, run
from mcp import StdioServerParameters


def work(job: Job) -> None:
    if job.http:
        server = {"url": job.url, "transport": "streamable-http", "headers": job.headers}
    else:
        server = StdioServerParameters(command=job.command, args=job.args, env=job.env)
    with MCPServerAdapter(server) as tools:
        model = LLM(model="openai/gpt-4.1", base_url=f"{job.model}/v1", api_key="none")
        analyst = Agent(
            role="analyst", goal="answer", backstory="a careful analyst", llm=model, tools=list(tools), max_iter=40
        )
        task = Task(description=job.prompt, expected_output="what was done", agent=analyst)
        Crew(agents=[analyst], tasks=[task]).kickoff()


async def drive(job: Job) -> None:
    await asyncio.to_thread(work, job)


run(drive)
