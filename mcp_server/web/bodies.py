"""Bodies of requests, read under a limit."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import anyio
from starlette.requests import ClientDisconnect, Request

PAUSE: Final = 60.0
"""Seconds between two pieces of a body."""


class TooLong(Exception):
    """The body has more bytes than are taken."""


class Stopped(Exception):
    """The body stopped arriving."""


async def pieces(request: Request, most: int, pause: float = PAUSE) -> AsyncIterator[bytes]:
    """The body piece by piece. TooLong as soon as that is known, Stopped where nothing more comes."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > most:
        raise TooLong
    stream, size = request.stream(), 0
    while True:
        try:
            with anyio.fail_after(pause):
                piece = await anext(stream, None)
        except (TimeoutError, ClientDisconnect) as error:
            raise Stopped from error
        if piece is None:
            return
        size += len(piece)
        if size > most:
            raise TooLong
        if piece:
            yield piece


async def whole(request: Request, most: int, pause: float = PAUSE) -> bytes:
    """The body in memory."""
    return b"".join([piece async for piece in pieces(request, most, pause)])


async def into_file(request: Request, path: Path, most: int, pause: float = PAUSE) -> int:
    """Write the body to a new file that only its owner can read; its size."""
    size = 0
    async with await anyio.open_file(path, "wb", opener=_private) as file:
        async for piece in pieces(request, most, pause):
            size += len(piece)
            await file.write(piece)
    return size


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
