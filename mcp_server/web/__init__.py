"""Serving HTTP, as both the protocol's server and the gateway do it: sockets, the server, the log, bodies under a limit."""
