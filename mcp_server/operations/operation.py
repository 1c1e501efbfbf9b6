"""Who makes a call, and how far that reaches.

Over stdio and on the command line it is the system's user, who may do everything that the server may. Over
HTTP a token says it. Scope and projects bind every operation: `Deps.project` and `calling.call` look here.
"""

import getpass
import inspect
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, Self, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, PrivateAttr

from mcp_server.effect import Effect
from mcp_server.errors import ChangedMeanwhile, ConfigurationError, NotAllowed
from mcp_server.language.names import NameLimits
from mcp_server.language.problems import shorten
from mcp_server.operations.asking import NOBODY, Ask, Consenting
from mcp_server.platforms.segments import SegmentPlatform
from mcp_server.platforms.tasks import CallPlatform, CrowdPlatform
from mcp_server.store.ledger import Ledger
from mcp_server.text import Language, Text, listed

# Who makes a call, and how far that reaches.
#
# Over stdio and on the command line it is the system's user, who may do everything that the server may. Over HTTP a
# token says it. Scope and projects bind every operation: `Deps.project` and `calling.call` look here.


Known = Literal["system", "loopback", "token", "oauth", "gateway"]
"""How a caller is known: he started this process himself; he came over HTTP from this machine, without a token;
by a static token; by the token of an authorization server; by the credentials of the gateway."""


def system_user() -> str:
    """The name of the user that this process runs as; his number where the system has no name for him."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return str(os.getuid()) if hasattr(os, "getuid") else "?"


@dataclass(frozen=True, slots=True)
class Identity:
    """One caller. The default is whoever started this process."""

    name: str = field(default_factory=system_user)
    known: Known = "system"
    client: str = ""
    """What the client calls itself; never a proof of anything."""
    client_version: str = ""
    may_write: bool = True
    projects: frozenset[str] | None = None
    """The projects that may be used; None for all."""

    def may_use(self, project: str) -> bool:
        """Whether this project is within reach."""
        return self.projects is None or project in self.projects


# How files reach an operation and leave it.
#
# Over stdio and on the command line the caller shares this machine's files: a path is a path. Over HTTP he does not,
# and must not reach into them: he uploads a file first and names its handle, and gets an address instead of a path.


_UPLOAD_FIRST = Text(
    "Over HTTP a path on the server's machine can't be named.", "通过 HTTP 调用时，不能使用服务所在机器上的路径。"
)
_HOW = Text(
    "Send the file with POST {url} first, and give the path that the answer names (it begins with upload:).",
    "请先用 POST {url} 上传文件，再使用返回的 path（以 upload: 开头）。",
)


class Files(Protocol):
    """How files travel for a caller who does not share this machine's files."""

    @property
    def upload_url(self) -> str:
        """Where he sends a file."""
        ...

    def offer(self, path: Path, project_id: str) -> str:
        """The address under which whoever may use the project can fetch this file."""
        ...

    def uploaded(self, handle: str, project_id: str) -> Path:
        """The file behind a handle. NotFound, also for an upload into another project."""
        ...


class Exports(Protocol):
    """The files that export_users wrote."""

    def offer(self, path: Path, project_id: str, by: str) -> str:
        """Note whose file this is; the name under which whoever may use the project can have it."""
        ...

    def keep_answer(self, words: str, tool: str) -> Path:
        """Keep what is too long to be answered as a JSON file beside the exports, for a day; `offer` notes whose it is."""
        ...

    def exported(self, name: str, projects: frozenset[str] | None) -> Path:
        """The file of this name. NotFound, also where its project is not among these (None: all)."""
        ...


def given_file(path: str, project_id: str, files: Files | None) -> Path:
    """The file that an argument names: a path, or over HTTP the handle of an upload into the same project."""
    if files is None:
        return Path(path).expanduser()
    if not path.startswith("upload:"):
        raise NotAllowed(_UPLOAD_FIRST, next_step=_HOW.format(url=files.upload_url))
    return files.uploaded(path, project_id)


# What an operation is: the single place where a tool's name, words, effect, parameters and result stand.
#
# `@operation(...)` on one typed async function yields the MCP tool, `fenqun call NAME`, the file in `tool_schemas/`
# and the row in the README. The docstring is the description that a model reads: what it does, when to use it, the
# one trap.


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
