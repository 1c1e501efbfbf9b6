"""fastmcp's client, without a model."""

from driving import Data, Job, run, walk
from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport


async def drive(job: Job) -> None:
    if job.http:
        transport = StreamableHttpTransport(job.url, headers=job.headers)
    else:
        transport = StdioTransport(job.command, job.args, env=job.env, keep_alive=False)
    async with Client(transport) as client:
        job.offers(tool.name for tool in await client.list_tools())

        async def call(tool: str, arguments: Data) -> Data:
            result = await client.call_tool(tool, arguments, raise_on_error=False)
            text = "\n".join(getattr(block, "text", str(block)) for block in result.content)
            return {"text": text, "is_error": result.is_error, "structured": result.structured_content}

        async def read(uri: str) -> str:
            return "".join(getattr(part, "text", "") for part in await client.read_resource(uri))

        await walk(job, call, read)


run(drive)
