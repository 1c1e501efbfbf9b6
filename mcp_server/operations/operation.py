"""What an operation is: the single place where a tool's name, words, effect, parameters and result stand.

`@operation(...)` on one typed async function yields the MCP tool, `fenqun call NAME`, the file in
`tool_schemas/` and the row in the README. The docstring is the description that a model reads: what it
does, when to use it, the one trap.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict

from mcp_server.effect import Effect
from mcp_server.errors import NotAllowed
from mcp_server.operations.handing import Files
from mcp_server.operations.identity import Identity
from mcp_server.platforms.call_port import CallPlatform
from mcp_server.platforms.crowd_port import CrowdPlatform
from mcp_server.platforms.ports import SegmentPlatform
from mcp_server.qp.names import NameLimits
from mcp_server.qp.problems import shorten
from mcp_server.text import Language, Text

_NOT_YOURS = Text("This access does not reach project {project}.", "当前的访问权限不包括项目 {project}。")
_USE_YOURS = Text(
    "Give one of these as project_id: {projects}. For others, the user asks whoever runs the server.",
    "请将 project_id 设为以下之一：{projects}。如需访问其他项目，请由用户联系服务的运行者。",
)
_ASK_OPERATOR = Text(
    "It reaches no project at all. Tell the user to ask whoever runs the server.",
    "该权限不包括任何项目。请告知用户联系服务的运行者。",
)


class Params(BaseModel):
    """Arguments of an operation: unknown ones are refused; an absent one has an empty default, never null."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Result(BaseModel):
    """What an operation answers. `message` says in one sentence what happened, `next` what to do now.

    Both are in the language of the call; every other field is data. Ids are strings: clients round
    64-bit integers. Fields that have nothing to say are left out of what is sent (`exclude_defaults`
    for optional ones), so absent always means "nothing".
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    class Row(BaseModel):
        """A part of a result: one line of a list."""

        model_config = ConfigDict(extra="forbid", frozen=True)

    message: str
    next: str = ""


class Report(Protocol):
    """Receives real progress of the engine: percent 0 to 100 and what is going on."""

    async def __call__(self, percent: float, message: Text) -> None: ...


async def _silent(percent: float, message: Text) -> None:
    """Progress that nobody asked for."""


@dataclass(frozen=True, slots=True)
class Deps:
    """What operations work with. One per server; `report` differs from call to call."""

    segments: SegmentPlatform
    crowds: CrowdPlatform
    calls: CallPlatform
    language: Language = "en"
    project_id: str = "1"
    """The project of a call that names none."""
    read_only: bool = False
    limits: NameLimits = field(default_factory=NameLimits)
    report: Report = field(default=_silent)
    who: Identity = field(default_factory=Identity)
    """Who makes the call."""
    files: Files | None = None
    """How files travel; None where the caller shares this machine's files."""

    def seen_by(self, who: Identity) -> "Deps":
        """The same for this caller. One who may only read starts no computation either."""
        if who.may_write:
            return replace(self, who=who)
        return replace(self, who=who, segments=self.segments.only_reading(), crowds=self.crowds.only_reading())

    def project(self, named: str) -> str:
        """The project of a call: the one it names, else the server's own, else the only one of the caller.

        Raises NotAllowed for a project that the caller may not use; it names only those that he may, and does
        not tell whether the other exists.
        """
        allowed = self.who.projects
        if not named and allowed and len(allowed) == 1:
            return next(iter(allowed))
        project = named or self.project_id
        if allowed is None or project in allowed:
            return project
        mine = ", ".join(sorted(allowed, key=lambda p: (len(p), p)))
        raise NotAllowed(
            _NOT_YOURS.format(project=shorten(project)),
            next_step=_USE_YOURS.format(projects=mine) if mine else _ASK_OPERATOR,
        )

    def say(self, text: Text) -> str:
        """A sentence in the language of the call."""
        return text.say(self.language)


P = TypeVar("P", bound=Params)
R = TypeVar("R", bound=Result)


@dataclass(frozen=True, slots=True)
class Operation(Generic[P, R]):
    """One thing that an assistant can ask for."""

    name: str
    title: Text
    description: str
    effect: Effect
    params: type[P]
    result: type[R]
    run: Callable[[P, Deps], Awaitable[R]]
    idempotent: bool


def operation(
    *, title: Text, effect: Effect, idempotent: bool = True
) -> Callable[[Callable[[P, Deps], Awaitable[R]]], Operation[P, R]]:
    """Make an operation of a function `async def name(params: P, deps: Deps) -> R`."""

    def wrap(function: Callable[[P, Deps], Awaitable[R]]) -> Operation[P, R]:
        hints: dict[str, Any] = get_type_hints(function)
        return Operation(
            name=function.__name__,
            title=title,
            description=inspect.cleandoc(function.__doc__ or ""),
            effect=effect,
            params=hints["params"],
            result=hints["return"],
            run=function,
            idempotent=idempotent,
        )

    return wrap
