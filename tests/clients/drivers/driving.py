"""What the drivers in Python have in common. Each runs in an environment of its own, so this needs nothing installed.

A driver is started with the path of its job, a JSON file (see `Job`), and leaves a report at the path that the job
names. A framework is given the address of the scripted model and is started once; a client without a model walks
through the steps by itself.
"""

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlparse

Data = dict[str, Any]


class Job:
    """What is to be done: the server, the model, the script."""

    def __init__(self, data: Data) -> None:
        self.http: bool = data["transport"] == "http"
        self.command: str = data["command"]
        self.args: list[str] = data["args"]
        self.env: dict[str, str] = data["env"]
        self.url: str = data["url"]
        self.headers: dict[str, str] = data["headers"]
        self.model: str = data["model"]
        self.prompt: str = data["prompt"]
        self.steps: list[Data] = data["steps"]
        self.options: Data = data["options"]
        self.report: Data = {"tools": [], "steps": [], "error": None}

    def offers(self, names: Any) -> None:
        """Record which tools the framework has for its model."""
        self.report["tools"] = list(names)


Call = Callable[[str, Data], Awaitable[Data]]
Read = Callable[[str], Awaitable[str]]


def run(drive: Callable[[Job], Awaitable[None]]) -> None:
    """Do the job that the command line names, and write the report, whatever happens."""
    data = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    job = Job(data)
    try:
        asyncio.run(asyncio.wait_for(_drive(drive, job), data["patience"]))
    finally:
        Path(data["report"]).write_text(json.dumps(job.report, ensure_ascii=False, indent=2), encoding="utf-8")


async def _drive(drive: Callable[[Job], Awaitable[None]], job: Job) -> None:
    try:
        await drive(job)
    except Exception as error:  # noqa: BLE001 - frameworks raise what they like; the report says what
        job.report["error"] = said(error)
        traceback.print_exception(error)


def said(error: BaseException) -> str:
    """An error in words; of a group of one, the one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


async def walk(job: Job, call: Call, read: Read | None = None) -> None:
    """Take the steps of the script one after another, for clients that have no model.

    `call` gives `text`, `is_error` and `structured`; what it raises is recorded, and the walk goes on.
    """
    exports: dict[str, str] = {}
    for step in job.steps:
        taken: Data = {"step": step["step"], "text": None, "is_error": False, "raised": None}
        job.report["steps"].append(taken)
        try:
            if "resource_of" in step:
                if read is not None:
                    taken["text"] = await read(exports[step["resource_of"]])
                continue
            taken |= await call(step["tool"], step["arguments"])
            structured = taken.pop("structured", None) or {}
            place = structured.get("path") or urlparse(structured.get("url") or "").path
            if place:
                exports[step["step"]] = f"fenqun://exports/{quote(Path(place).name, safe='')}"
        except Exception as error:  # noqa: BLE001 - recorded; the next step is tried all the same
            taken["raised"] = said(error)
