"""An operation and what each call of it works with: the caller, files, the person to ask, the platforms.

`@operation(...)` on one typed async function makes the MCP tool, `fenqun call NAME`, the file in `tool_schemas/` and
the row in the README. Its docstring is the description that a model reads: what it does, when to use it, the one trap.
"""

import getpass
import inspect
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, Self, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, PrivateAttr

from mcp_server.errors import ChangedMeanwhile, ConfigurationError, NotAllowed
from mcp_server.language.names import NameLimits
from mcp_server.language.problems import shorten
from mcp_server.platforms.data import DataPlatform
from mcp_server.platforms.segments import OnProgress, SegmentPlatform
from mcp_server.platforms.tasks import CallPlatform, CrowdPlatform
from mcp_server.store.files import HandedFiles
from mcp_server.store.ledger import Ledger, Way
from mcp_server.text import Language, Text, listed

# The caller


Known = Literal["system", "loopback", "token", "oauth", "gateway"]
"""How a caller is known: as the user who started this process; over HTTP from this machine, without a token; by a
static token; by the token of an authorization server; by the credentials of the gateway."""


def system_user() -> str:
    """The name of the user that this process runs as; the number where the system has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return str(os.getuid()) if hasattr(os, "getuid") else "?"


@dataclass(frozen=True, slots=True)
class Identity:
    """One caller; by default the user who started this process, who may do everything that the server may."""

    name: str = field(default_factory=system_user)
    known: Known = "system"
    client: str = ""
    """What the client calls itself; never a proof of anything."""
    client_version: str = ""
    may_write: bool = True
    projects: frozenset[str] | None = None
    """The projects that may be used; None for all."""

    def may_use(self, project: str) -> bool:
        return self.projects is None or project in self.projects


# Files
#
# Over stdio and on the command line the caller shares this machine's files: a path is a path. Over HTTP a file is
# uploaded first and named by its handle, and an address comes back instead of a path.


_UPLOAD_FIRST = Text(
    "Over HTTP a path on the server's machine can't be named.", "通过 HTTP 调用时，不能使用服务所在机器上的路径。"
)
_HOW_TO_UPLOAD = Text(
    "Send the file with POST {url} first, and give the path that the answer names (it begins with upload:).",
    "请先用 POST {url} 上传文件，再使用返回的 path（以 upload: 开头）。",
)


class Files(Protocol):
    """How files travel for a caller who does not share this machine's files."""

    @property
    def upload_url(self) -> str:
        """Where a file is sent to."""

    def offer(self, path: Path, project_id: str) -> str:
        """The address under which a caller who may use the project can fetch this file."""

    def uploaded(self, handle: str, project_id: str) -> Path:
        """The file behind a handle. NotFound, also for an upload into another project."""


def is_project(project_id: str) -> bool:
    """Whether a project could be made under this id."""
    return project_id.isascii() and project_id.isdigit() and project_id[0] != "0" and len(project_id) <= MOST_DIGITS


MOST_DIGITS = 18
"""Of a project id."""


def given_file(path: str, project_id: str, files: Files | None) -> Path:
    """The file that an argument names: a path, or over HTTP the handle of an upload into the same project."""
    if files is None:
        return Path(path).expanduser()
    if not path.startswith("upload:"):
        raise NotAllowed(_UPLOAD_FIRST, next_step=_HOW_TO_UPLOAD.format(url=files.upload_url))
    return files.uploaded(path, project_id)


# Consent
#
# An operation never asks. `consent/consenting.py` does, through the `Ask` of the call: the client's own form over MCP,
# the terminal on the command line, nobody where there is nobody.


Mode = Literal["ask", "token", "never"]


@dataclass(frozen=True, slots=True)
class ConsentPolicy:
    """How consent is given: chosen by the operator."""

    mode: Mode = "ask"
    platforms: frozenset[str] = frozenset({"local"})
    """Where a mode other than `ask` holds; anywhere else people are asked."""

    def mode_on(self, platform: str) -> Mode:
        return self.mode if platform in self.platforms else "ask"


class Answer(Enum):
    """The outcome of a question. Only YES is consent."""

    YES = "yes"
    NO = "no"
    CLOSED = "closed"
    """Dismissed, or not answered in time."""
    UNCLEAR = "unclear"
    """Accepted, but what was filled in does not say yes."""
    IMPOSSIBLE = "impossible"
    """Nobody could be asked after all."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question for a person, in the language of the call."""

    consent: str
    """Id of the consent that a yes will open."""
    text: str
    seconds: float
    """How long an answer counts."""


class Suspended(Exception):
    """No error: the protocol answers by calling again. This call ends with the question, and changes nothing."""

    def __init__(self, question: Question) -> None:
        super().__init__(question.consent)
        self.question = question


class Ask(Protocol):
    """Puts a question to the person behind a call."""

    @property
    def possible(self) -> bool:
        """Whether there is anybody to ask."""

    @property
    def way(self) -> Way:
        """How the consent of this person is recorded."""

    @property
    def earlier_consent(self) -> str:
        """Id of the consent that an earlier round of this call asked for; empty in a first round."""

    @property
    def answered_by(self) -> str:
        """Who answers, where that is not the caller."""

    async def __call__(self, question: Question, /) -> Answer:
        """Ask. Raises `Suspended` where the answer will come with another call."""


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """An answer that is known before: `--yes` on the command line, or a click on a page that showed the question."""

    answer: Answer = Answer.YES
    answered_by: str = ""
    earlier_consent: str = ""
    way: Way = "asked"
    possible: bool = True

    async def __call__(self, _: Question) -> Answer:
        return self.answer


NOBODY = KnownAnswer(Answer.IMPOSSIBLE, possible=False)
"""There is nobody to ask."""


# Arguments and results


class Params(BaseModel):
    """Arguments of an operation: unknown ones are refused; an absent one has an empty default, never null."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Result(BaseModel):
    """The answer of an operation: in `message` one sentence on what happened, in `next` what to do now.

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
    _unchanged: bool = PrivateAttr(False)
    _adds: bool = PrivateAttr(False)
    _token: str = PrivateAttr("")

    @property
    def basis(self) -> tuple[str, ...]:
        """Of a dry run: the state that it describes, first the stamp of what would change; empty: all of its fields."""
        return self._basis

    @property
    def unchanged(self) -> bool:
        """Of a dry run: there is nothing to change."""
        return self._unchanged

    @property
    def adds(self) -> bool:
        """Of a dry run: the act would overwrite and remove nothing."""
        return self._adds

    @property
    def consent_token(self) -> str:
        """Of a dry run, where the operator accepts tokens: consent for one call like it."""
        return self._token

    def with_basis(self, *basis: object) -> Self:
        """The same dry run, naming the state that consent to it is bound to."""
        return self._copied(_basis=tuple(map(str, basis)))

    def as_unchanged(self) -> Self:
        """The same dry run, for an act that would change nothing: nobody need be asked."""
        return self._copied(_unchanged=True)

    def as_addition(self) -> Self:
        """The same dry run, for an act that overwrites nothing this time: nobody need be asked."""
        return self._copied(_adds=True)

    def with_token(self, token: str, next_step: str) -> Self:
        """The same dry run with the token of its consent."""
        return self._copied({"next": next_step}, _token=token)

    def on_platform(self, platform: str) -> Self:
        """The same, naming the account that was acted on."""
        return self._copied({"platform": platform})

    def _copied(self, changes: dict[str, object] | None = None, **private: object) -> Self:
        """A changed copy, with private attributes that are not part of what is sent."""
        made = self.model_copy(update=changes)
        for name, value in private.items():
            setattr(made, name, value)
        return made


class PartialResult(Result):
    """A result that a remote platform may fill only in part."""

    not_told: dict[str, str] = {}
    """Fields that are absent because the platform does not report them, with the reason."""

    def with_not_told(self, fields: Iterable[tuple[str, str]]) -> Self:
        """The same, naming fields that are not reported, and why."""
        return self._copied({"not_told": dict(fields)})


AbsentFields = Callable[[str, str, Mapping[str, object]], Iterable[tuple[str, Text]]]
"""Lists the fields that a tool's result lacks on a platform, with the reason (`platforms.fields.absent_fields`)."""


def _nothing_absent(*_: object, **__: object) -> tuple[()]:
    return ()


# What a call works with


_NOT_YOURS = Text("This access does not reach project {project}.", "当前的访问权限不包括项目 {project}。")
_USE_YOURS = Text(
    "Give one of these as project_id: {projects}. For others, the user asks the operator of the server.",
    "请将 project_id 设为以下之一：{projects}。如需访问其他项目，请由用户联系服务的运行者。",
)
_ASK_OPERATOR = Text(
    "It reaches no project at all. Tell the user to ask the operator of the server.",
    "该权限不包括任何项目。请告知用户联系服务的运行者。",
)
_PINNED = Text("This server works on project {project} only.", "此服务只能用于项目 {project}。")
_LEAVE_OUT = Text(
    "Leave project_id out. For another project, the user asks the operator of the server (FENQUN_PIN_PROJECT).",
    "请不带 project_id。如需其他项目，请由用户联系服务的运行者（FENQUN_PIN_PROJECT）。",
)
_CHANGED = Text("This has changed since it was shown; nothing was changed.", "展示之后内容已有变化，未做任何更改。")
_LOOK_AGAIN = Text("Look again with dry_run, then call again.", "请用 dry_run 重新查看，再次调用。")
_NO_LEDGER = Text(
    "This server keeps no log, so it may not change anything.", "此服务未保存操作日志，因此不能做任何更改。"
)


async def _no_report(percent: float, message: Text) -> None:
    """Drop progress that nobody wants."""


async def _no_connections() -> None:
    """Close nothing."""


@dataclass(frozen=True, slots=True)
class Deps:
    """What operations work with. One per server; a call has its own caller, report and so on."""

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
    report: OnProgress = _no_report
    """Receives real progress of the engine: percent 0 to 100 and what is going on."""
    caller: Identity = field(default_factory=Identity)
    files: Files | None = None
    """How files travel; None where the caller shares this machine's files."""
    data: DataPlatform | None = None
    """Loading of files; None where the data is on a remote platform."""
    exports: HandedFiles | None = None
    """The files that exports have written; None where there are none to be had."""
    ask: Ask = NOBODY
    """Puts questions to the person behind the call."""
    consent: ConsentPolicy = field(default_factory=ConsentPolicy)
    ledger: Ledger | None = None
    page: str = ""
    """Address of the page where people decide what waits; empty where there is none."""
    command_line: tuple[str, str] | None = None
    """Program and options (`settings.command_line`) of commands that texts name; None where the caller is elsewhere."""
    basis: tuple[str, ...] = ()
    """Of an act that was consented to: the basis of its dry run."""
    absent_fields: AbsentFields = _nothing_absent
    disconnect: Callable[[], Awaitable[None]] = _no_connections
    """Closes connections to platforms, in the event loop that has made them."""
    counting: bool = True
    """Whether a dry run also counts users; comparing it with an earlier one needs no count."""

    def for_caller(self, caller: Identity) -> "Deps":
        """The same for this caller. One who may only read starts no computation either."""
        if caller.may_write:
            return replace(self, caller=caller)
        return replace(
            self, caller=caller, segments=self.segments.only_reading(), crowds=self.crowds.only_reading()
        )  # fmt: skip

    def for_dry_run(self, *, counting: bool) -> "Deps":
        """The same without progress."""
        return replace(self, report=_no_report, counting=counting)

    def with_basis(self, basis: tuple[str, ...]) -> "Deps":
        """The same for an act that was consented to on this basis."""
        return replace(self, basis=basis)

    def check_unchanged(self, stamp: str) -> None:
        """Raise ChangedMeanwhile where what is about to change is no longer what was consented to."""
        if self.basis and self.basis[0] != stamp:
            raise ChangedMeanwhile(_CHANGED, next_step=_LOOK_AGAIN)

    def required_ledger(self) -> Ledger:
        """Consents and log. ConfigurationError where none are kept: what can't be logged isn't done."""
        if self.ledger is None:
            raise ConfigurationError(_NO_LEDGER)
        return self.ledger

    def pinned_caller(self) -> Identity:
        """The caller, held to the project that the server is pinned to."""
        if not self.pinned:
            return self.caller
        return replace(self.caller, projects=frozenset(p for p in (self.project_id,) if self.caller.may_use(p)))

    def project(self, named: str) -> str:
        """The project of a call: the one it names, else the server's own, else the only one of the caller.

        Raises NotAllowed for a project that the caller may not use; it names only those that the caller may, and
        does not tell whether the other exists.
        """
        allowed = self.caller.projects
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


# The operation


class Effect(Enum):
    """What an operation does to the world; an operation with two effects is two operations.

    Annotations, read-only mode, consent and retries read it.
    """

    READ = "read"
    """Changes nothing on a platform. (It may write a file into the workspace's own exports folder.)"""
    CREATE = "create"
    """Adds something; repeating the same call adds nothing more."""
    REPLACE = "replace"
    """Overwrites something that a person made."""
    DELETE = "delete"
    """Removes something that a person made."""
    TRIGGER = "trigger"
    """Starts work whose result can be had again at any time; destroys nothing."""

    @property
    def writes(self) -> bool:
        """True where read-only mode refuses the operation."""
        return self is not Effect.READ

    @property
    def destroys(self) -> bool:
        """True where something a person made is overwritten or removed."""
        return self in (Effect.REPLACE, Effect.DELETE)


System = Literal["segments", "crowds", "calls"]

P = TypeVar("P", bound=Params)
R = TypeVar("R", bound=Result)


@dataclass(frozen=True, slots=True)
class Operation(Generic[P, R]):
    """One thing that an assistant can do."""

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
