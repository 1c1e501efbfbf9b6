"""Standard input and output as files of the event loop: nothing is lost, mixed up or held up."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from mcp_server.front.mcp.stdio import Lines, Writer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue  # the test has closed it


def lines_of(pipe: tuple[int, int], *pieces: bytes) -> list[str]:
    async def write() -> None:
        for piece in pieces:
            await anyio.to_thread.run_sync(os.write, pipe[1], piece)
        os.close(pipe[1])

    async def read() -> list[str]:
        async with anyio.create_task_group() as group:
            group.start_soon(write)
            return [line async for line in Lines(pipe[0])]

    return anyio.run(read)


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"o", b"ne\nt", b"wo\n"], ["one", "two"]),
        (["登".encode()[:1], "登录\n".encode()[1:]], ["登录"]),
        ([b"\n\n"], ["", ""]),
        ([b"cut off"], ["cut off"]),
        ([b"\xff\n"], ["\ufffd"]),
        ([b"windows\r\n"], ["windows\r"]),
        ([], []),
    ],
)
def test_lines_arrive_as_they_were_sent(pipe: tuple[int, int], pieces: list[bytes], lines: list[str]) -> None:
    assert lines_of(pipe, *pieces) == lines


def test_many_lines_and_long_ones_arrive_in_order(pipe: tuple[int, int]) -> None:
    sent = [str(n) * (100_000 if n % 50 == 0 else 1) for n in range(500)]
    assert lines_of(pipe, *(f"{line}\n".encode() for line in sent)) == sent


def test_no_more_is_read_ahead_than_is_soon_asked_for(pipe: tuple[int, int]) -> None:
    async def flood() -> int:
        lines = Lines(pipe[0])
        os.write(pipe[1], b"x\n" * 30_000)
        async for line in lines:
            assert line == "x"
            break
        for _ in range(1000):  # time enough to read on
            await anyio.lowlevel.checkpoint()
        return lines._lines.qsize()

    assert anyio.run(flood) <= 64


def test_a_reader_that_is_behind_holds_up_no_other_work(pipe: tuple[int, int]) -> None:
    answers = ["ä" * 300_000, "short", "登录" * 50_000]

    async def talk() -> bytes:
        writer = Writer(pipe[1])
        turns, got = 0, b""

        async def write() -> None:
            for answer in answers:
                await writer.write(answer)
                await writer.write("\n")
                await writer.flush()
            os.close(pipe[1])

        async with anyio.create_task_group() as group:
            group.start_soon(write)
            for _ in range(100):  # nobody reads yet, and the loop goes on
                await anyio.lowlevel.checkpoint()
                turns += 1
            while chunk := await anyio.to_thread.run_sync(os.read, pipe[0], 1 << 16):
                got += chunk
        assert turns == 100
        return got

    assert anyio.run(talk).decode().splitlines() == answers


def test_a_reader_that_is_gone_is_told(pipe: tuple[int, int]) -> None:
    async def talk() -> None:
        writer = Writer(pipe[1])
        os.close(pipe[0])
        await writer.write("to nobody")
        await writer.flush()

    with pytest.raises(BrokenPipeError):
        anyio.run(talk)


def test_while_they_are_claimed_strangers_read_nothing_and_print_on_stderr() -> None:
    script = """
import os, sys
from mcp_server.front.mcp.stdio import claimed
with claimed() as (source, sink):
    print("stray", flush=True)
    assert sys.stdin.read() == ""
    os.write(sink, os.read(source, 100))
print("after", flush=True)
"""
    said = subprocess.run(
        [sys.executable, "-c", script], input=b"wire\n", capture_output=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )  # fmt: skip
    assert (said.returncode, said.stdout, said.stderr) == (0, b"wire\nafter\n", b"stray\n")
