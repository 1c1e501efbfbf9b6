// Mastra with 2.x of its MCP client.

import { Agent } from "@mastra/core/agent";
import { MCPClient } from "@mastra/mcp";
import { run } from "./driving.mjs";

await run(async (job) => {
  const server = job.http
    ? { url: new URL(job.url), requestInit: { headers: job.headers } }
    : { command: job.command, args: job.args, env: job.env };
  const client = new MCPClient({ servers: { fenqun: server }, timeout: 60000 });
  const agent = new Agent({
    id: "analyst",
    name: "analyst",
    instructions: "You are a careful analyst.",
    model: { id: "scripted/scripted", url: `${job.model}/v1`, apiKey: "none" },
    tools: await client.listTools(),
  });
  await agent.generate(job.prompt, { maxSteps: 40 });
  await client.disconnect();
});
