// The official TypeScript SDK, 1.x, without a model.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { run, text, walk } from "./driving.mjs";

await run(async (job) => {
  const transport = job.http
    ? new StreamableHTTPClientTransport(new URL(job.url), { requestInit: { headers: job.headers } })
    : new StdioClientTransport({ command: job.command, args: job.args, env: job.env });
  const client = new Client({ name: "driver", version: "1.0.0" });
  await client.connect(transport);
  job.done.tools = (await client.listTools()).tools.map((tool) => tool.name);
  await walk(
    job,
    async (name, given) => {
      const result = await client.callTool({ name, arguments: given });
      return { text: text(result.content), is_error: Boolean(result.isError), structured: result.structuredContent };
    },
    async (uri) => (await client.readResource({ uri })).contents.map((part) => part.text ?? "").join(""),
  );
  await client.close();
});
