"""LangChain: tools of langchain-mcp-adapters in an agent with OpenAI's model class."""

from driving import Job, run
from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_openai import ChatOpenAI


async def drive(job: Job) -> None:
    if job.http:
        server = {"transport": "streamable_http", "url": job.url, "headers": job.headers}
    else:
        server = {"transport": "stdio", "command": job.command, "args": job.args, "env": job.env}
    client = MultiServerMCPClient({"fenqun": server})
    async with client.session("fenqun") as session:
        from langchain_mcp_adapters.tools import load_mcp_tools

        tools = await load_mcp_tools(session)
        model = ChatOpenAI(model="scripted", base_url=f"{job.model}/v1", api_key="none", max_retries=0)
        agent = create_agent(model, tools)
        await agent.ainvoke({"messages": [("user", job.prompt)]}, {"recursion_limit": 100})


run(drive)
