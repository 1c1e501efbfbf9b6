"""mcp-use: its agent over LangChain's model class."""

from driving import Job, run
from langchain_openai import ChatOpenAI
from mcp_use import MCPAgent, MCPClient


async def drive(job: Job) -> None:
    if job.http:
        server = {"url": job.url, "headers": job.headers}
    else:
        server = {"command": job.command, "args": job.args, "env": job.env}
    client = MCPClient.from_dict({"mcpServers": {"fenqun": server}})
    model = ChatOpenAI(model="scripted", base_url=f"{job.model}/v1", api_key="none", max_retries=0)
    agent = MCPAgent(llm=model, client=client, max_steps=100)
    try:
        await agent.run(job.prompt)
    finally:
        await client.close_all_sessions()


run(drive)
