"""Semantic Kernel: an agent with its MCP plugins."""

from driving import Job, run
from openai import AsyncOpenAI
from semantic_kernel.agents import ChatCompletionAgent
from semantic_kernel.connectors.ai.function_choice_behavior import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion
from semantic_kernel.connectors.mcp import MCPStdioPlugin, MCPStreamableHttpPlugin


async def drive(job: Job) -> None:
    client = AsyncOpenAI(base_url=f"{job.model}/v1", api_key="none", max_retries=0)
    model = OpenAIChatCompletion(ai_model_id="scripted", async_client=client)
    if job.http:
        plugin = MCPStreamableHttpPlugin("fenqun", job.url, headers=job.headers, load_prompts=False)
    else:
        plugin = MCPStdioPlugin("fenqun", job.command, args=job.args, env=job.env, load_prompts=False)
    async with plugin:
        often = FunctionChoiceBehavior.Auto(maximum_auto_invoke_attempts=40)
        agent = ChatCompletionAgent(service=model, name="analyst", plugins=[plugin], function_choice_behavior=often)
        await agent.get_response(messages=job.prompt)


run(drive)
