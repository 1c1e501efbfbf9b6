// Vercel's AI SDK with its MCP client.

import { createMCPClient } from "@ai-sdk/mcp";
import { StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, isStepCount } from "ai";
import { run } from "./driving.mjs";

await run(async (job) => {
  const transport = job.http
    ? { type: "http", url: job.url, headers: job.headers }
    : new StdioMCPTransport({ command: job.command, args: job.args, env: job.env });
  const client = await createMCPClient({ transport });
  const models = createOpenAICompatible({ name: "scripted", baseURL: `${job.model}/v1`, apiKey: "none" });
  await generateText({
    model: models("scripted"),
    prompt: job.prompt,
    tools: await client.tools(),
    stopWhen: isStepCount(40),
    maxRetries: 0,
  });
  await client.close();
});
