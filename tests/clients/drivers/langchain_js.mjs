// LangChain JS: tools of @langchain/mcp-adapters in an agent with OpenAI's model class.

import { MultiServerMCPClient } from "@langchain/mcp-adapters";
import { ChatOpenAI } from "@langchain/openai";
import { createAgent } from "langchain";
import { run } from "./driving.mjs";

await run(async (job) => {
  const server = job.http
    ? { transport: "http", url: job.url, headers: job.headers }
    : { transport: "stdio", command: job.command, args: job.args, env: job.env };
  const client = new MultiServerMCPClient({ mcpServers: { fenqun: server } });
  const tools = await client.getTools();
  const model = new ChatOpenAI({
    model: "scripted",
    apiKey: "none",
    maxRetries: 0,
    configuration: { baseURL: `${job.model}/v1` },
  });
  const agent = createAgent({ model, tools });
  await agent.invoke({ messages: [{ role: "user", content: job.prompt }] }, { recursionLimit: 100 });
  await client.close();
});
