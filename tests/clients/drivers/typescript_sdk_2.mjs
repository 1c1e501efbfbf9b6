// The official TypeScript SDK, 2.x, without a model.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
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
