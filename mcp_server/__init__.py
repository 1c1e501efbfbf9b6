"""fenqun (分群): an MCP server that turns a sentence into a live user segment."""

__version__ = "0.1.0"
