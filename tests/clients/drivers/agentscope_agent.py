"""AgentScope: an agent whose toolkit holds an MCP client."""

from agentscope.agent import Agent, ReActConfig
from agentscope.credential import OpenAICredential
from agentscope.mcp import HttpMCPConfig, MCPClient, StdioMCPConfig
from agentscope.message import UserMsg
from agentscope.model import OpenAIChatModel
from agentscope.permission import PermissionContext, PermissionMode
from agentscope.state import AgentState
from agentscope.tool import Toolkit
from driving import Job, run


async def drive(job: Job) -> None:
    if job.http:
        config = HttpMCPConfig(url=job.url, headers=job.headers)
    else:
        config = StdioMCPConfig(command=job.command, args=job.args, env=job.env)
    client = MCPClient(name="fenqun", is_stateful=True, mcp_config=config)
    await client.connect()
    try:
        credential = OpenAICredential(api_key="none", base_url=f"{job.model}/v1")
        agent = Agent(
            "analyst",
            "You are a careful analyst.",
            OpenAIChatModel(credential, "scripted"),
            Toolkit(mcps=[client]),
            state=AgentState(permission_context=PermissionContext(mode=PermissionMode.BYPASS)),
            react_config=ReActConfig(max_iters=40),
        )
        await agent.reply(UserMsg(name="user", content=job.prompt))
    finally:
        await client.close()


run(drive)
