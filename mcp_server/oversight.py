"""The commands of an operator: what waits for approval, approving it, the log, what is kept for undo."""

import json
import re
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final

from mcp_server.consent import approving
from mcp_server.errors import ConfigurationError, ConsentDeclined, InvalidArguments, LoadRefused, ReadOnlyMode
from mcp_server.front.mcp import rendering
from mcp_server.operations.operation import NOBODY, Answer, Ask, Effect, KnownAnswer, Question
from mcp_server.store.ledger import Consent, Entry, Subject, Way
from mcp_server.terminal import YES, Bar, at_terminal
from mcp_server.text import NOTHING, Language, Text, listed

if TYPE_CHECKING:
    from mcp_server.app import App
    from mcp_server.store.tokens import Scope, TokenRecord


_ASKED: Final = Text("Carry it out? Type yes: ", "是否执行？请输入 yes：")
_NO_TERMINAL: Final = Text(
    "Approving needs a terminal: a person has to read the question and answer it.",
    "批准操作需要终端：须由人阅读询问并作答。",
)
_RUN_IN_TERMINAL: Final = Text("Run this command yourself in a terminal.", "请在终端中亲自运行此命令。")
_NONE_PENDING: Final = Text("Nothing waits for approval.", "没有待批准的操作。")
_APPROVE: Final = Text("Approve with: fenqun approve ID", "批准：fenqun approve 编号")
_WHO: Final = Text("{id}: {tool}, asked for by {name} ({known}) at {at}, until {until}",
                   "{id}：{tool}，由 {name}（{known}）于 {at} 发起，{until} 前有效")  # fmt: skip
_WOULD_PURGE: Final = Text(
    "Changes and deletions made so far could not be undone any more; the members of deleted clusters are removed.",
    "此前的修改和删除将无法撤销，已删除分群的成员数据会被清除。",
)
_READ_ONLY: Final = Text(
    "This is read-only (FENQUN_READ_ONLY); nothing was removed.", "当前为只读模式（FENQUN_READ_ONLY），未清除任何数据。"
)
_NOT_PURGED: Final = Text("Nothing was removed. (Without a terminal: --yes)", "未清除任何数据。（无终端时请用 --yes）")
_PURGED: Final = Text("Done; files removed: {n}.", "已完成；清除的文件数：{n}。")
_REPLACE: Final = Text("Replace it? Type yes: ", "是否替换？请输入 yes：")
_NOT_LOADED: Final = Text("Nothing was loaded.", "未加载任何数据。")
_WITH_REPLACE: Final = Text(
    "If this is meant, call again with --replace. `fenqun load --undo` goes back.",
    "若确需如此，请加 --replace 再次运行。`fenqun load --undo` 可撤销。",
)
_NONE_LOGGED: Final = Text("Nothing is logged.", "没有日志记录。")
_WRONG_SINCE: Final = Text(
    "--since is a date or a time: 2026-07-01 or 2026-07-01T08:00.",
    "--since 为日期或时间：2026-07-01 或 2026-07-01T08:00。",
)


@dataclass(frozen=True, slots=True)
class Terminal:
    """Asks on this terminal; only a yes that was typed is one (`operations.operation.Ask`)."""

    language: Language
    way: Way = "asked"
    earlier_consent: str = ""
    answered_by: str = ""

    @property
    def possible(self) -> bool:
        return at_terminal()

    async def __call__(self, question: Question, /) -> Answer:
        import anyio.to_thread

        sys.stderr.write(f"{question.text}\n{_ASKED.say(self.language)}")
        sys.stderr.flush()
        answer = await anyio.to_thread.run_sync(sys.stdin.readline)
        if not answer:
            return Answer.CLOSED
        return Answer.YES if answer.strip().casefold() in YES else Answer.NO


def asker(language: Language, *, yes: bool) -> Ask:
    """Return who answers questions on the command line: with `--yes` the caller has answered already."""
    if yes:
        return KnownAnswer()
    return Terminal(language) if at_terminal() else NOBODY


def pending_lines(app: "App") -> list[str]:
    """Return the lines of `fenqun pending`."""
    language, consents = app.settings.language, approving.pending(app.deps)
    if not consents:
        return [_NONE_PENDING.say(language)]
    lines = []
    for consent in consents:
        lines += [*_headed(consent, app), "  " + consent.question.replace("\n", "\n  ")]
    return [*lines, _APPROVE.say(language)]


def _headed(consent: Consent, app: "App") -> list[str]:
    """Return who asked for what, and what there is to know about that caller."""
    books, project = app.deps.required_ledger(), consent.project or app.settings.project_id
    head = _WHO.format(
        id=consent.id,
        tool=consent.tool,
        name=consent.name,
        known=consent.known,
        at=books.local(consent.created_at, project),
        until=books.local(consent.expires_at, project),
    )
    return [words.say(app.settings.language) for words in (head, approving.doubt(consent)) if any(words)]


def approve(app: "App", consent_id: str) -> list[str]:
    """Show the question of a waiting act, ask, carry it out; return its result (`fenqun approve ID`)."""
    import anyio

    if not at_terminal():
        raise InvalidArguments(_NO_TERMINAL, next_step=_RUN_IN_TERMINAL)
    return [anyio.run(_approved, app, consent_id)]


async def _approved(app: "App", consent_id: str) -> str:
    """Return the result in the language of the call that asked for it."""
    from mcp_server.front.http.files import HttpFiles
    from mcp_server.operations.registry import OPERATIONS

    language, consent = app.settings.language, approving.waiting(consent_id, app.deps)
    sys.stderr.write("\n".join([*_headed(consent, app), ""]))
    with Bar(language) as bar:
        files = HttpFiles(app.handed, "", app.deps.caller.name)  # of acts that were asked for over HTTP
        deps = replace(app.deps, report=bar.report, files=files)
        try:
            result = await approving.approve(consent_id, OPERATIONS, deps, Terminal(language))
            await app.finish(bar.report)
        finally:
            await deps.disconnect()
    return rendering.text(rendering.structured(result), "zh" if consent.language == "zh" else "en")


def agree_to_load(lines: Sequence[Text], doubts: Sequence[Text], language: Language, *, replace_it: bool) -> None:
    """Show what a load replaces, and ask in a terminal; return where it may.

    Without a terminal only `doubts` need `--replace`: LoadRefused. ConsentDeclined where the person says no.
    """
    for line in (*lines, *doubts):
        sys.stderr.write(f"{line.say(language)}\n")
    if replace_it:
        return
    if not at_terminal():
        if doubts:
            words = NOTHING
            for doubt_ in doubts:
                words = words.then(doubt_)
            raise LoadRefused(words.then(_NOT_LOADED), next_step=_WITH_REPLACE)
        return
    sys.stderr.write(_REPLACE.say(language))
    sys.stderr.flush()
    if sys.stdin.readline().strip().casefold() not in YES:
        raise ConsentDeclined(_NOT_LOADED)


def undo_load(app: "App", *, yes: bool) -> list[str]:
    """Ask, then go back to the data before the last load (`fenqun load --undo`); the result in lines."""
    import anyio

    from mcp_server.consent.invoke import invoke
    from mcp_server.operations.data import restore_data

    language = app.settings.language
    deps = replace(app.deps, ask=asker(language, yes=yes))
    return [rendering.text(rendering.structured(anyio.run(invoke, restore_data, {}, deps)), language)]


def purge(app: "App", *, yes: bool) -> list[str]:
    """Ask, then remove what is kept to undo changes and deletions; logged like any act (`fenqun purge`)."""
    import anyio

    if app.settings.read_only:
        raise ReadOnlyMode(_READ_ONLY)
    language, project = app.settings.language, _pinned(app)
    question = Question("", _WOULD_PURGE.say(language), 0)
    if anyio.run(asker(language, yes=yes), question) is not Answer.YES:
        return [_NOT_PURGED.say(language)]
    who = app.deps.caller
    subject = Subject(
        tool="purge",
        effect=Effect.DELETE.value,
        arguments="{}",
        digest="",
        name=who.name,
        known=who.known,
        client="",
        platform="local",
        account="",
        project=project,
    )
    books = app.deps.required_ledger()
    entry = books.begin(subject, before=_WOULD_PURGE.say(language), consent=None, way="asked", by="")
    try:
        done = _PURGED.format(n=len(app.purge(project))).say(language)
    except BaseException as error:
        books.end(entry, "failed", type(error).__name__)
        raise
    books.end(entry, "done", done)
    return [done]


def _pinned(app: "App") -> str:
    """Return the project that this process is pinned to; "" for none."""
    return app.settings.project_id if app.settings.pin_project else ""


def log_lines(app: "App", *, limit: int, tool: str, since: str, as_json: bool) -> list[str]:
    """Return the lines of `fenqun log`, newest first."""
    books, own = app.deps.required_ledger(), app.settings.project_id
    entries = books.entries(limit=limit, tool=tool, since=_moment(since, books.zone(own)), project=_pinned(app))
    if as_json:
        return [json.dumps(_as_data(entry), ensure_ascii=False) for entry in entries]
    return _lines(entries, lambda entry: books.local(entry.began_at, entry.subject.project or own)) or [
        _NONE_LOGGED.say(app.settings.language)
    ]


def _moment(since: str, zone: tzinfo | None) -> datetime | None:
    """Read a date or time in the project's zone (None: this machine's), or one with an offset."""
    if not since:
        return None
    try:
        moment = datetime.fromisoformat(since)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidArguments(_WRONG_SINCE) from None


def _lines(entries: Sequence[Entry], began: Callable[[Entry], str]) -> list[str]:
    lines = []
    for entry in entries:
        subject = entry.subject
        who = f"{subject.name} ({', '.join(filter(None, (subject.known, subject.client)))})"
        where = " ".join(filter(None, (subject.platform, subject.account)))
        head = [
            began(entry),
            entry.outcome,
            subject.tool,
            who,
            where,
            *([f"project {subject.project}"] if subject.project else []),
            *([entry.way] if entry.way else []),
        ]
        details = (subject.arguments, entry.before, f"→ {entry.after}" if entry.after else "")
        lines += [_harmless(" | ".join(head)), *(f"  {_harmless(part)}" for part in details if part)]
    return lines


def _harmless(words: str) -> str:
    """Replace characters that would move the cursor or change colours: the words come from callers."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)


def _as_data(entry: Entry) -> dict[str, Any]:
    subject = entry.subject
    return {
        "id": entry.id,
        "began_at": entry.began_at.isoformat(),
        "ended_at": entry.ended_at.isoformat() if entry.ended_at else "",
        "outcome": entry.outcome,
        "tool": subject.tool,
        "effect": subject.effect,
        "name": subject.name,
        "known": subject.known,
        "client": subject.client,
        "platform": subject.platform,
        "account": subject.account,
        "project": subject.project,
        "consent": entry.way,
        "arguments": json.loads(subject.arguments),
        "before": entry.before,
        "after": entry.after,
    }


# Access tokens for HTTP.

_SCOPES: Final[Mapping[str, "Scope"]] = {"read": "read", "write": "write", "approve": "approve"}
_PROJECT_ID = re.compile(r"[1-9][0-9]{0,17}")
_DAYS = re.compile(r"[1-9][0-9]{0,4}")

_NEEDS_NAME = Text("token {action} needs a NAME.", "token {action} 需要 NAME。")
_NEEDS_SCOPE = Text(
    "token add needs --scope read, write or approve.", "token add 需要 --scope read、write 或 approve。"
)
_NEEDS_PROJECT = Text(
    "token add needs --project ID, as often as there are projects, or --project all.",
    "token add 需要 --project ID（可重复），或 --project all。",
)
_BAD_PROJECT = Text(
    "--project {got} is neither a project id nor all, or all is given beside others.",
    "--project {got} 既不是项目编号也不是 all，或 all 与其他项目同时出现。",
)
_BAD_DAYS = Text("--days is a whole number from 1.", "--days 应为从 1 开始的整数。")
_MADE = Text(
    "The token of {name} ({reach}) is shown this once; only its hash is kept:",
    "{name} 的令牌（{reach}）仅显示这一次，系统只保存其哈希值：",
)
_REVOKED = Text("The token of {name} is no longer valid.", "{name} 的令牌已失效。")
_NONE = Text("There are no tokens.", "没有令牌。")
_REACH = Text("{scope}, project {projects}", "{scope}，项目 {projects}")
_UNTIL = Text("until {day}", "有效至 {day}")
_SINCE = Text("revoked {day}", "{day} 吊销")
_ALL = Text("all", "全部")


def token(app: "App", arguments: Namespace, say: Callable[[str], None]) -> None:
    """Make, list or revoke tokens. Only the token itself goes to stdout, so that it can be piped on."""
    language = app.settings.language
    if arguments.action == "list":
        tokens = app.tokens.all()
        for line in [_line(token, app) for token in tokens] or [_NONE]:
            say(line.say(language))
        return
    if not arguments.name:
        raise ConfigurationError(_NEEDS_NAME.format(action=arguments.action))
    if arguments.action == "revoke":
        app.tokens.revoke(arguments.name)
        say(_REVOKED.format(name=arguments.name).say(language))
        return
    scope, projects, days = _requested(arguments)
    made = app.tokens.add(arguments.name, scope, projects, days=days)
    reach = _reach(scope, frozenset(projects) if projects is not None else None)
    sys.stderr.write(_MADE.format(name=arguments.name, reach=reach).say(language) + "\n")
    say(made)


def _requested(arguments: Namespace) -> "tuple[Scope, tuple[str, ...] | None, int | None]":
    if arguments.scope not in _SCOPES:
        raise ConfigurationError(_NEEDS_SCOPE)
    named = tuple(arguments.project)
    if not named:
        raise ConfigurationError(_NEEDS_PROJECT)
    wrong = [p for p in named if not _PROJECT_ID.fullmatch(p)]
    if wrong and named != ("all",):
        raise ConfigurationError(_BAD_PROJECT.format(got=wrong[0]))
    if arguments.days and not _DAYS.fullmatch(arguments.days):
        raise ConfigurationError(_BAD_DAYS)
    days = int(arguments.days) if arguments.days else None
    return _SCOPES[arguments.scope], None if wrong else named, days


def _reach(scope: str, projects: frozenset[str] | None) -> Text:
    if projects is None:
        return _REACH.format(scope=scope, projects=_ALL)
    in_order = sorted(projects, key=lambda p: (len(p), p))
    return _REACH.format(scope=scope, projects=listed(in_order))


def _line(token: "TokenRecord", app: "App") -> Text:
    """Return a token as `token list` shows it; days are those of the server's project."""
    books, end = app.deps.required_ledger(), NOTHING
    if token.revoked_at is not None:
        end = _SINCE.format(day=books.local(token.revoked_at, app.settings.project_id)[:10])
    elif token.expires_at is not None:
        end = _UNTIL.format(day=books.local(token.expires_at, app.settings.project_id)[:10])
    reach = _reach(token.scope, token.projects)
    line = Text(f"{token.name}: {reach.en}", f"{token.name}：{reach.zh}")
    return Text(f"{line.en}, {end.en}", f"{line.zh}，{end.zh}") if any(end) else line
