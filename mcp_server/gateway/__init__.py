"""The local platforms over HTTP, in the three vendors' own wire formats (docs/gateway.md)."""
