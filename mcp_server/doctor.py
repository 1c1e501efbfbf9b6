"""`fenqun doctor`: where each system is, whether it can be reached and read, and what to do. Changes nothing."""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from mcp_server.app import Remote, connect
from mcp_server.credentials import VENDORS, Credentials, System, Vendor
from mcp_server.engines.duckdb.damage import check_whole
from mcp_server.errors import FenqunError, VendorBusy, VendorDenied, VendorUnreachable, VendorUnreadable
from mcp_server.install import Machine, installed
from mcp_server.platforms.segments import name_of
from mcp_server.platforms.thinkingdata.segments import ThinkingDataSegments
from mcp_server.platforms.transport import Policy, Transport, is_loopback
from mcp_server.settings import Settings, known_variables
from mcp_server.store.catalog import Catalog
from mcp_server.store.files import LocalFiles
from mcp_server.store.workspace import Workspace
from mcp_server.text import NOTHING, Language, Text, listed, same

Level = Literal["ok", "warning", "wrong"]

POLICY: Final = Policy(connect=5, read=15, attempts=1)
"""One short attempt: a person waits for the answer."""
_MARKS: Final[Mapping[Level, str]] = {"ok": "ok", "warning": "! ", "wrong": "x "}

_TITLES: Final[Mapping[System, Text]] = {
    "segments": Text("Segments", "分群"),
    "crowds": Text("Crowd analyses", "人群分析"),
    "calls": Text("Call tasks", "外呼任务"),
}
_WORKS: Final = Text("The workspace {path} can be used.", "工作区 {path} 可用。")
_NOT_THERE: Final = Text("There is no workspace at {path}; nothing was made.", "{path} 处没有工作区；未创建任何内容。")
_MAKE: Final = Text(
    "Check the path. The first `fenqun load` or `fenqun serve` makes a workspace.",
    "请检查路径。首次运行 `fenqun load` 或 `fenqun serve` 会创建工作区。",
)
_NO_SEGMENTS: Final = Text(
    "It refuses every call: tasks on this machine need segments on this machine, and those are remote.",
    "所有操作都会被拒绝：本机任务依赖本机分群，而分群在远程平台上。",
)
_SET: Final = Text(
    "Set {names}, without {pin}=local, or set {segments}=local.",
    "请设置 {names}（且不设 {pin}=local），或设 {segments}=local。",
)
_REACHED: Final = Text("It answers, and the credentials are accepted.", "可以连接，凭证有效。")
_MAY_READ: Final = Text(
    "Reading is permitted; whether changes are, only a change shows.",
    "有读取权限；是否有修改权限，只有实际修改时才能确认。",
)
_MAY_QUERY: Final = Text(
    "SQL may be run: sizes, values and exports work.", "可以执行 SQL：预估人数、查看取值和导出均可用。"
)
_MAY_NOT_QUERY: Final = Text(
    "SQL can't be run, so preview_definition and export_users don't work, and describe_data shows no values.",
    "无法执行 SQL，因此 preview_definition 和 export_users 不可用，describe_data 也不显示取值。",
)
_ASK_FOR_SQL: Final = Text(
    "Where those are needed: ask the administrator of the platform to permit queries (/querySql) to the token.",
    "如需使用：请平台管理员为该 token 开通查询（/querySql）权限。",
)
_ANSWERS: Final = Text("It answers.", "可以连接。")
_PLAIN: Final = Text(
    "The address is plain http: credentials can be read on the way.",
    "地址使用未加密的 http：凭证可能在传输途中被他人读取。",
)
_TLS: Final = Text("Use https if the platform offers it.", "如平台支持，请改用 https。")
_CLOCK: Final = Text("This machine's clock is {n} s {side} the platform's.", "本机时钟比平台{side} {n} 秒。")
_BEHIND, _AHEAD = Text("behind", "慢"), Text("ahead of", "快")
_CLOCK_FITS: Final = Text("The clocks agree to {n} s.", "时钟相差 {n} 秒，在允许范围内。")
_SYNC: Final = Text(
    "Synchronise the clock: from {limit} s on every call is refused.",
    "请校准时钟：偏差达到 {limit} 秒后所有请求都会被拒绝。",
)
_BUSY: Final = Text("The platform is busy, so nothing more is known.", "平台繁忙，暂时无法进一步检查。")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    message: Text
    next_step: Text = NOTHING


@dataclass(frozen=True, slots=True)
class Checkup:
    """The state of one system."""

    vendor: Vendor
    """Whose platform serves the system; where it is on this machine, the vendor that can."""
    platform: str
    where: Text
    reachable: bool | None = None
    """None where it was not tried, or on this machine."""
    reads: bool | None = None
    queries: bool | None = None
    """Whether SQL may be run; None where that was not tried."""
    clock_skew: int | None = None
    """Seconds that the platform's clock is ahead of this machine's."""
    findings: tuple[Finding, ...] = ()

    @property
    def system(self) -> str:
        """The name of the vendor, as programs read it."""
        return self.vendor.name

    @property
    def wrong(self) -> bool:
        return any(finding.level == "wrong" for finding in self.findings)


def run(settings: Settings, environment: Mapping[str, str], say: Callable[[str], None], *, as_json: bool) -> int:
    """Examine all systems and this machine, and print the result; return the exit status."""
    import anyio

    checkups = anyio.run(examine, settings, lambda: _opened(settings))
    sections = examine_machine(settings, environment, Machine.this())
    if as_json:
        say(json.dumps(as_data(checkups, settings.language, sections), ensure_ascii=False))
    else:
        for line in (*as_lines(checkups, settings.language), *_section_lines(sections, settings.language)):
            say(line)
    return int(_anything_wrong(checkups, sections))


def _opened(settings: Settings) -> None:
    """Open and close the workspace, if it is there. FenqunError where it cannot be used."""
    if not settings.workspace.exists():
        return  # a mistyped path must not become a workspace
    from mcp_server.app import build

    app = build(replace(settings, remote={}))
    try:
        app.alive()
    finally:
        app.close()


async def examine(settings: Settings, works: Callable[[], object], policy: Policy = POLICY) -> list[Checkup]:
    """Examine each system. `works` raises FenqunError where the workspace cannot be used."""
    checkups = []
    for system in _TITLES:
        vendors = [vendor for vendor in VENDORS if vendor.system == system]
        given = next((settings.remote[vendor.name] for vendor in vendors if vendor.name in settings.remote), None)
        if given is None:
            checkups.append(_local(vendors[0], settings, works))
        else:
            checkups.append(await _remote(given, settings, policy))
    return checkups


def _local(vendor: Vendor, settings: Settings, works: Callable[[], object]) -> Checkup:
    checkup = Checkup(vendor, "local", name_of("local"))
    segments = next((each.vendor for each in settings.remote.values() if each.vendor.system == "segments"), None)
    if segments is not None:
        step = _SET.format(names=listed(vendor.required), pin=vendor.pin, segments=segments.pin)
        finding = Finding("warning", _NO_SEGMENTS, step)
        return replace(checkup, findings=(finding,))
    try:
        works()
    except FenqunError as error:
        return replace(checkup, findings=(Finding("wrong", error.message, error.next_step),))
    if not settings.workspace.exists():
        return replace(checkup, findings=(Finding("warning", _NOT_THERE.format(path=settings.workspace), _MAKE),))
    return replace(checkup, findings=(Finding("ok", _WORKS.format(path=settings.workspace)),))


async def _remote(given: Credentials, settings: Settings, policy: Policy) -> Checkup:
    vendor = given.vendor
    checkup = Checkup(vendor, vendor.name, _at(vendor, same(_host(given["url"]))))
    files = LocalFiles(Workspace(settings.workspace))  # not opened: nothing is written here
    try:
        remote = connect({vendor.name: given}, files, lambda _: "", policy=policy)
    except FenqunError as error:
        return replace(checkup, findings=(Finding("wrong", error.message, error.next_step),))
    transport = remote.transports[vendor.name]
    try:
        result = await _asked(_small_request(remote, settings.project_id))
        if result.reads and isinstance(remote.segments, ThinkingDataSegments):
            result = await _queried(result, remote.segments.query(settings.project_id))
    finally:
        await remote.close()
    account = next((p.account for p in (remote.segments, remote.crowds, remote.calls) if p), "")
    skew = None if transport.skew is None else round(transport.skew)
    findings = (*_plainness(transport), *result.findings, *_clock(vendor, skew))
    return replace(
        checkup,
        where=_at(vendor, same(account)),
        reachable=result.reachable,
        reads=result.reads,
        queries=result.queries,
        clock_skew=skew,
        findings=findings,
    )


def _host(url: str) -> str:
    """Host and port of an address, "" where it is none; a password in it is not shown."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def _at(vendor: Vendor, account: Text) -> Text:
    if not any(account):
        return vendor.text
    return Text("{name}, {account}", "{name}，{account}").format(name=vendor.text, account=account)


async def _small_request(remote: Remote, project: str) -> None:
    """Read the first row of a list."""
    if remote.segments:
        await remote.segments.search(project, words="", cluster_types=(), offset=0, limit=1)
    if remote.crowds:
        await remote.crowds.search(project, crowd_id="", offset=0, limit=1)
    if remote.calls:
        await remote.calls.search(project, words="", offset=0, limit=1)


@dataclass(frozen=True, slots=True)
class _Looked:
    """What a request has shown."""

    reachable: bool
    reads: bool | None
    findings: tuple[Finding, ...] = ()
    queries: bool | None = None


async def _asked(question: Awaitable[object]) -> _Looked:
    try:
        await question
    except (VendorUnreachable, VendorUnreadable) as error:
        return _Looked(isinstance(error, VendorUnreadable), None, (Finding("wrong", error.message, _ADDRESS),))
    except VendorBusy as error:
        return _Looked(True, None, (Finding("warning", _BUSY.then(error.message), error.next_step),))
    except FenqunError as error:
        reads = False if isinstance(error, VendorDenied) else None
        return _Looked(True, reads, (Finding("ok", _ANSWERS), Finding("wrong", error.message, error.next_step)))
    return _Looked(True, True, (Finding("ok", _REACHED), Finding("ok", _MAY_READ)))


async def _queried(result: _Looked, question: Awaitable[object]) -> _Looked:
    """Add what a query has shown."""
    try:
        await question
    except FenqunError as error:
        finding = Finding("warning", _MAY_NOT_QUERY.then(error.message), _ASK_FOR_SQL)
        return replace(result, findings=(*result.findings, finding), queries=False)
    return replace(result, findings=(*result.findings, Finding("ok", _MAY_QUERY)), queries=True)


# In place of the step of these errors, which sends people to `fenqun doctor`.
_ADDRESS: Final = Text(
    "Check the address, this machine's network, proxy (HTTPS_PROXY) and certificates.",
    "请检查地址、本机网络、代理（HTTPS_PROXY）与证书。",
)


def _plainness(transport: Transport) -> Iterator[Finding]:
    if transport.base.startswith("http://") and not is_loopback(transport.host):
        yield Finding("warning", _PLAIN, _TLS)


def _clock(vendor: Vendor, skew: int | None) -> Iterator[Finding]:
    """Compare the clocks, where the platform checks times and has reported its own."""
    limit = vendor.most_skew
    if limit is None or skew is None:
        return
    if abs(skew) < limit // 2:
        yield Finding("ok", _CLOCK_FITS.format(n=abs(skew)))
        return
    message = _CLOCK.format(n=abs(skew), side=_BEHIND if skew > 0 else _AHEAD)
    yield Finding("wrong" if abs(skew) >= limit else "warning", message, _SYNC.format(limit=limit))


def as_lines(checkups: list[Checkup], language: Language) -> Iterator[str]:
    """Yield lines for a terminal."""
    for checkup in checkups:
        head = Text("{title}: {where}", "{title}：{where}").format(
            title=_TITLES[checkup.vendor.system], where=checkup.where
        )
        yield head.say(language)
        yield from _finding_lines(checkup.findings, language)


def _anything_wrong(checkups: Sequence[Checkup], sections: Sequence["Section"]) -> bool:
    return any(checkup.wrong for checkup in checkups) or any(section.wrong for section in sections)


def _finding_lines(findings: Sequence[Finding], language: Language) -> Iterator[str]:
    for finding in findings:
        yield f"  {_MARKS[finding.level]} {finding.message.say(language)}"
        if any(finding.next_step):
            yield f"     → {finding.next_step.say(language)}"


def as_data(checkups: list[Checkup], language: Language, sections: Sequence["Section"] = ()) -> dict[str, Any]:
    """Return the result for programs."""
    return {
        "ok": not _anything_wrong(checkups, sections),
        **{section.key: list(section.rows) for section in sections},
        "systems": [
            {
                "system": checkup.system,
                "platform": checkup.platform,
                "where": checkup.where.say(language),
                "reachable": checkup.reachable,
                "reads": checkup.reads,
                "queries": checkup.queries,
                "clock_skew_seconds": checkup.clock_skew,
                "findings": [
                    {"level": f.level, "message": f.message.say(language), "next": f.next_step.say(language)}
                    for f in checkup.findings
                ],
            }
            for checkup in checkups
        ],
    }


# This machine: which settings are set, which clients start the server, how old the data is.

_SETTINGS: Final = Text("Settings", "设置")
_CLIENTS: Final = Text("Clients", "客户端")
_DATA: Final = Text("Data", "数据")
_IS_SET: Final = Text("{name} is set: {what}.", "已设置 {name}：{what}。")
_NONE_SET: Final = Text("No variable is set.", "未设置任何环境变量。")
_STARTS: Final = Text("{client} starts {command} ({path}).", "{client} 启动 {command}（{path}）。")
_GONE: Final = Text("{client} would start {command}, which is not there ({path}).", "{client} 要启动的 {command} 不存在（{path}）。")  # fmt: skip
_WRITE_ANEW: Final = Text("Write the entry anew: fenqun install {client}", "请重新写入条目：fenqun install {client}")
_NO_CLIENT: Final = Text("No client's configuration names this server.", "没有客户端配置了本服务。")
_ADD_ONE: Final = Text("Add it to one: fenqun install CLIENT", "添加到客户端：fenqun install 客户端")
_LOADED: Final = Text(
    "Project {project}: {rows} events of {users} users, {first} to {last}; loaded {when}, {age}.",
    "项目 {project}：{users} 名用户的 {rows} 条事件，{first} 至 {last}；于 {when} 加载，{age}。",
)
_TODAY, _AGO = Text("less than a day ago", "不到一天前"), Text("{n} days ago", "{n} 天前")
_NO_DATA: Final = Text("Nothing is loaded into this workspace.", "该工作区尚未加载数据。")
_LOAD: Final = Text(
    "Load files, or the demo data: fenqun load --demo", "请加载文件，或加载演示数据：fenqun load --demo"
)


@dataclass(frozen=True, slots=True)
class Section:
    """One side of this machine."""

    key: str
    title: Text
    findings: tuple[Finding, ...]
    rows: tuple[Mapping[str, Any], ...]
    """The same for programs."""

    @property
    def wrong(self) -> bool:
        return any(finding.level == "wrong" for finding in self.findings)


def examine_machine(settings: Settings, environment: Mapping[str, str], machine: Machine) -> list[Section]:
    """Examine settings, clients and data. A workspace that is not there is not made."""
    return [_settings(environment), _clients(machine), _data(settings)]


def _settings(environment: Mapping[str, str]) -> Section:
    """List the variables that are set, without their values: some are secrets, others paths of people."""
    names = [(name, text) for name, text in known_variables().items() if environment.get(name, "").strip()]
    findings = [Finding("ok", _IS_SET.format(name=name, what=text)) for name, text in names]
    rows = [{"variable": name} for name, _ in names]
    return Section("settings", _SETTINGS, tuple(findings) or (Finding("ok", _NONE_SET),), tuple(rows))


def _clients(machine: Machine) -> Section:
    findings, rows = [], []
    for entry in installed(machine):
        words = {"client": entry.client.title, "command": entry.command, "path": entry.path}
        findings.append(
            Finding("ok", _STARTS.format(**words))
            if entry.works
            else Finding("wrong", _GONE.format(**words), _WRITE_ANEW.format(client=entry.client.name))
        )
        rows.append(
            {"client": entry.client.name, "file": str(entry.path), "command": entry.command, "works": entry.works}
        )
    return Section("clients", _CLIENTS, tuple(findings) or (Finding("ok", _NO_CLIENT, _ADD_ONE),), tuple(rows))


def _data(settings: Settings) -> Section:
    findings, rows = [], []
    if (settings.workspace / "catalog.sqlite").is_file():
        try:
            for row in _projects(settings):
                age = _AGO.format(n=row["days_old"]) if row["days_old"] else _TODAY
                counts = {key: f"{row[key]:,}" for key in ("rows", "users")}
                days = {"first": row["first_day"], "last": row["last_day"]}
                findings.append(
                    Finding(
                        "ok", _LOADED.format(project=row["project"], when=row["loaded_at"], age=age, **counts, **days)
                    )
                )
                rows.append(row)
        except FenqunError as error:
            findings.append(Finding("wrong", error.message, error.next_step))
    return Section("data", _DATA, tuple(findings) or (Finding("warning", _NO_DATA, _LOAD),), tuple(rows))


def _projects(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield each project's data: how much, of which days, and since when; times are the project's."""
    with closing(Workspace.open(settings.workspace)) as workspace, closing(Catalog(workspace)) as catalog:
        for project in catalog.projects():
            data = catalog.generation_of(project)
            for part in data.parts:
                check_whole(workspace.absolute(part))
            events = data.metadata.events
            yield {
                "project": project.id,
                "rows": data.metadata.rows,
                "users": data.metadata.users,
                "first_day": min((event.first for event in events if event.first), default="")[:10],
                "last_day": max((event.last for event in events if event.last), default="")[:10],
                "loaded_at": data.data_at.astimezone(ZoneInfo(project.zone)).isoformat(" ", "seconds"),
                "days_old": (datetime.now(UTC) - data.data_at).days,
            }


def _section_lines(sections: Sequence[Section], language: Language) -> Iterator[str]:
    for section in sections:
        yield section.title.say(language)
        yield from _finding_lines(section.findings, language)
