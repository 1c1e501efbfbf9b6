"""What an operation is: the single place where a tool's name, words, effect, parameters and result stand.

`@operation(...)` on one typed async function yields the MCP tool, `fenqun call NAME`, the file in
`tool_schemas/` and the row in the README. The docstring is the description that a model reads: what it
does, when to use it, the one trap.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, Protocol, Self, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, PrivateAttr

from mcp_server.effect import Effect
from mcp_server.errors import ChangedMeanwhile, ConfigurationError, NotAllowed
from mcp_server.operations.asking import NOBODY, Ask
from mcp_server.operations.consenting import Consenting
from mcp_server.operations.handing import Exports, Files
from mcp_server.operations.identity import Identity
from mcp_server.platforms.call_port import CallPlatform
from mcp_server.platforms.crowd_port import CrowdPlatform
from mcp_server.platforms.ledger_port import Ledger
from mcp_server.platforms.ports import SegmentPlatform
from mcp_server.qp.names import NameLimits
from mcp_server.qp.problems import shorten
from mcp_server.text import Language, Text, listed

_NOT_YOURS = Text("This access does not reach project {project}.", "当前的访问权限不包括项目 {project}。")
_USE_YOURS = Text(
    "Give one of these as project_id: {projects}. For others, the user asks whoever runs the server.",
    "请将 project_id 设为以下之一：{projects}。如需访问其他项目，请由用户联系服务的运行者。",
)
_ASK_OPERATOR = Text(
    "It reaches no project at all. Tell the user to ask whoever runs the server.",
    "该权限不包括任何项目。请告知用户联系服务的运行者。",
)
_PINNED = Text("This server works on project {project} only.", "此服务只能用于项目 {project}。")
_LEAVE_OUT = Text(
    "Leave project_id out. For another project, the user asks whoever runs the server (FENQUN_PIN_PROJECT).",
    "请不带 project_id。如需其他项目，请由用户联系服务的运行者（FENQUN_PIN_PROJECT）。",
)
_MOVED_ON = Text("This has changed since it was shown; nothing was changed.", "展示之后内容已有变化，未做任何更改。")
_NO_LEDGER = Text(
    "This server keeps no log, so it may not change anything.", "此服务未保存操作日志，因此不能做任何更改。"
)
_LOOK_AGAIN = Text("Look again with dry_run, then call again.", "请用 dry_run 重新查看，再次调用。")


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
    platform: str = ""
    """Account, and project where the platform has some, that was acted on; empty on this machine."""

    _basis: tuple[str, ...] = PrivateAttr(())
    _idle: bool = PrivateAttr(False)
    _token: str = PrivateAttr("")

    @property
    def basis(self) -> tuple[str, ...]:
        """Of a dry run: the state that it speaks of, first the stamp of what would be touched; empty: all that it says."""
        return self._basis

    @property
    def idle(self) -> bool:
        """Of a dry run: there is nothing to change."""
        return self._idle

    @property
    def consent_token(self) -> str:
        """Of a dry run, where the operator accepts tokens: consent for one call like it."""
        return self._token

    def resting_on(self, *basis: object) -> Self:
        """The same dry run, naming the state that consent to it is bound to. What moves by itself stays out."""
        return self._beside(_basis=tuple(map(str, basis)))

    def as_idle(self) -> Self:
        """The same dry run, for an act that would change nothing: nobody need be asked."""
        return self._beside(_idle=True)

    def as_done(self) -> Self:
        """The answer of an act that had nothing to change."""
        return self.model_copy(update={"dry_run": False})

    def with_token(self, token: str, next_step: str) -> Self:
        """The same dry run with the token of its consent."""
        return self._beside({"next": next_step}, _token=token)

    def at(self, platform: str) -> Self:
        """The same, naming the account that was acted on."""
        return self._beside({"platform": platform})

    def _beside(self, changes: dict[str, object] | None = None, **private: object) -> Self:
        """A changed copy, with something that is no part of what is sent."""
        made = self.model_copy(update=changes)
        for name, value in private.items():
            setattr(made, name, value)
        return made


class PartlyTold(Result):
    """A result of which a remote platform may tell only a part."""

    not_told: dict[str, str] = {}
    """Fields that are absent because the platform does not tell them, with the reason."""

    def without(self, not_told: Iterable[tuple[str, str]]) -> Self:
        """The same, saying which fields are not told, and why."""
        return self._beside({"not_told": dict(not_told)})


class Lacks(Protocol):
    """Tells what a result of a tool lacks on a platform: fields, with the reason (`platforms.fields.not_told`)."""

    def __call__(self, platform: str, tool: str, result: Mapping[str, object]) -> Iterable[tuple[str, Text]]: ...


def _lacks_nothing(*_: object, **__: object) -> tuple[()]:
    return ()


class Report(Protocol):
    """Receives real progress of the engine: percent 0 to 100 and what is going on."""

    async def __call__(self, percent: float, message: Text) -> None: ...


async def _silent(percent: float, message: Text) -> None:
    """Progress that nobody asked for."""


async def _nothing() -> None:
    """There is nothing to let go of."""


@dataclass(frozen=True, slots=True)
class Deps:
    """What operations work with. One per server; `report` differs from call to call."""

    segments: SegmentPlatform
    crowds: CrowdPlatform
    calls: CallPlatform
    language: Language = "en"
    project_id: str = "1"
    """The project of a call that names none."""
    pinned: bool = False
    """Whether calls that name another project are refused."""
    read_only: bool = False
    limits: NameLimits = field(default_factory=NameLimits)
    report: Report = field(default=_silent)
    who: Identity = field(default_factory=Identity)
    """Who makes the call."""
    files: Files | None = None
    """How files travel; None where the caller shares this machine's files."""
    exports: Exports | None = None
    """The files that exports have written; None where there are none to be had."""
    ask: Ask = NOBODY
    """Puts questions to the person behind the call."""
    consenting: Consenting = field(default_factory=Consenting)
    ledger: Ledger | None = None
    page: str = ""
    """Address of the page where people decide what waits; empty where there is none."""
    agreed: tuple[str, ...] = ()
    """What the dry run rested on that was consented to."""
    lacks: Lacks = field(default=_lacks_nothing)
    disconnect: Callable[[], Awaitable[None]] = _nothing
    """Lets go of connections to platforms, in the event loop that has made them."""
    counting: bool = True
    """Whether a dry run also counts users. Whoever only wants to know whether it still speaks of the same needs no count."""

    def seen_by(self, who: Identity) -> "Deps":
        """The same for this caller. One who may only read starts no computation either."""
        if who.may_write:
            return replace(self, who=who)
        return replace(self, who=who, segments=self.segments.only_reading(), crowds=self.crowds.only_reading())

    def books(self) -> Ledger:
        """Consents and log. ConfigurationError where none are kept: what can't be logged isn't done."""
        if self.ledger is None:
            raise ConfigurationError(_NO_LEDGER)
        return self.ledger

    def quiet(self, *, counting: bool) -> "Deps":
        """The same without progress, for a dry run."""
        return replace(self, report=_silent, counting=counting)

    def after(self, agreed: tuple[str, ...]) -> "Deps":
        """The same for an act that was consented to on this basis."""
        return replace(self, agreed=agreed)

    def still(self, stamp: str) -> None:
        """ChangedMeanwhile where what is about to be touched is not what was consented to any more."""
        if self.agreed and self.agreed[0] != stamp:
            raise ChangedMeanwhile(_MOVED_ON, next_step=_LOOK_AGAIN)

    def within(self) -> Identity:
        """The caller, held to the project that the server is pinned to."""
        if not self.pinned:
            return self.who
        return replace(self.who, projects=frozenset(p for p in (self.project_id,) if self.who.may_use(p)))

    def project(self, named: str) -> str:
        """The project of a call: the one it names, else the server's own, else the only one of the caller.

        Raises NotAllowed for a project that the caller may not use; it names only those that he may, and does
        not tell whether the other exists.
        """
        allowed = self.who.projects
        if self.pinned:
            if named not in ("", self.project_id):
                raise NotAllowed(_PINNED.format(project=self.project_id), next_step=_LEAVE_OUT)
            named = self.project_id
        if not named and allowed and len(allowed) == 1:
            return next(iter(allowed))
        project = named or self.project_id
        if allowed is None or project in allowed:
            return project
        mine = sorted(allowed, key=lambda p: (len(p), p))
        raise NotAllowed(
            _NOT_YOURS.format(project=shorten(project)),
            next_step=_USE_YOURS.format(projects=listed(mine)) if mine else _ASK_OPERATOR,
        )

    def say(self, text: Text) -> str:
        """A sentence in the language of the call."""
        return text.say(self.language)


System = Literal["segments", "crowds", "calls"]

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
    system: System = "segments"
    """Which of the three systems it works on: the field of `Deps` that holds its platform."""
    hands_out: bool = False
    """Whether it hands out lists of users: that is logged, though it changes nothing."""

    @property
    def logged(self) -> bool:
        """Whether each act is written down."""
        return self.effect.writes or self.hands_out


def operation(
    *,
    title: Text,
    effect: Effect,
    idempotent: bool = True,
    system: System = "segments",
    hands_out: bool = False,
) -> Callable[[Callable[[P, Deps], Awaitable[R]]], Operation[P, R]]:
    """Make an operation of a function `async def name(params: P, deps: Deps) -> R`."""

    def wrap(function: Callable[[P, Deps], Awaitable[R]]) -> Operation[P, R]:
        hints: dict[str, Any] = get_type_hints(function)
        if effect.destroys and "dry_run" not in hints["params"].model_fields:
            raise TypeError(f"{function.__name__} destroys, so it needs a dry_run: people are asked in its words")
        return Operation(
            name=function.__name__,
            title=title,
            description=inspect.cleandoc(function.__doc__ or ""),
            effect=effect,
            params=hints["params"],
            result=hints["return"],
            run=function,
            idempotent=idempotent,
            system=system,
            hands_out=hands_out,
        )

    return wrap
