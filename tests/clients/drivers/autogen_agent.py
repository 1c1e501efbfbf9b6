"""AutoGen: an assistant with an MCP workbench."""

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from autogen_ext.tools.mcp import McpWorkbench, StdioServerParams, StreamableHttpServerParams
from driving import Job, run


async def drive(job: Job) -> None:
    if job.http:
        server = StreamableHttpServerParams(url=job.url, headers=job.headers)
    else:
        server = StdioServerParams(command=job.command, args=job.args, env=job.env, read_timeout_seconds=60)
    abilities = {"vision": False, "function_calling": True, "json_output": True, "structured_output": True}
    model = OpenAIChatCompletionClient(
        model="scripted",
        base_url=f"{job.model}/v1",
        api_key="none",
        model_info={**abilities, "family": "unknown"},
        max_retries=0,
    )
    async with McpWorkbench(server) as workbench:
        agent = AssistantAgent("analyst", model_client=model, workbench=workbench, max_tool_iterations=40)
        await agent.run(task=job.prompt)
    await model.close()


run(drive)
