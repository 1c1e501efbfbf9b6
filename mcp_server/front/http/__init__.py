"""MCP over Streamable HTTP: the gate that every request passes, proofs of identity, files in and out, the server."""
