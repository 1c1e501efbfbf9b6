// Mastra with 0.14 of its MCP client, which makes Zod schemas of the definitions.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Agent } from "@mastra/core/agent";
import { MCPClient } from "@mastra/mcp";
import { run } from "./driving.mjs";

await run(async (job) => {
  const server = job.http
    ? { url: new URL(job.url), requestInit: { headers: job.headers } }
    : { command: job.command, args: job.args, env: job.env };
  const client = new MCPClient({ servers: { fenqun: server }, timeout: 60000 });
  const models = createOpenAICompatible({ name: "scripted", baseURL: `${job.model}/v1`, apiKey: "none" });
  const agent = new Agent({
    name: "analyst",
    instructions: "You are a careful analyst.",
    model: models("scripted"),
    tools: await client.getTools(),
  });
  await agent.generate(job.prompt, { maxSteps: 40 });
  await client.disconnect();
});
