"""Qwen-Agent: an assistant with MCP servers, the model through an address of OpenAI's kind with its own function calls."""

import asyncio

from driving import Job, run
from qwen_agent.agents import Assistant
from qwen_agent.tools.mcp_manager import MCPManager


def work(job: Job) -> None:
    if job.http:
        server = {"type": "streamable-http", "url": job.url, "headers": job.headers}
    else:
        server = {"command": job.command, "args": job.args, "env": job.env}
    model = {
        "model": "scripted",
        "model_server": f"{job.model}/v1",
        "api_key": "none",
        "generate_cfg": {"use_raw_api": True},
    }
    assistant = Assistant(llm=model, function_list=[{"mcpServers": {"fenqun": server}}])
    try:
        for _ in assistant.run([{"role": "user", "content": job.prompt}]):
            pass
    finally:
        MCPManager().shutdown()


async def drive(job: Job) -> None:
    await asyncio.to_thread(work, job)


run(drive)
