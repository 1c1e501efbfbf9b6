"""Load data into a workspace: build a new generation beside the old one, make it current in one commit, and report it.

Nothing is ever half-loaded: until the commit every reader sees the old data, after it the new. Clusters keep their
definitions and show as out of date.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from mcp_server.engines.duckdb.connection import connect
from mcp_server.errors import ConsentDeclined, FenqunError, InvalidArguments, LoadRefused
from mcp_server.platforms.data import Replacement
from mcp_server.platforms.local.replacing import replacement
from mcp_server.sources.loading import Built, Decide, LoadOptions, Sources, build, look_at
from mcp_server.sources.look import Look, describe, remembered
from mcp_server.sources.mapping import Answers, FileMapping, parse_mapping, write_mapping
from mcp_server.sources.report import LoadReport
from mcp_server.sources.survey import Proposal
from mcp_server.store.catalog import Catalog
from mcp_server.store.ledger import Ledger, Subject
from mcp_server.store.workspace import Workspace
from mcp_server.text import Text, listed

MEMORY_LIMIT = "1500MB"
"""Of a load where no setting says otherwise: it takes no longer with it, since the engine spills to the workspace."""
_BAD_DATE = Text("--as-of is a date such as 1998-07-01, not {got}.", "--as-of 应为日期，如 1998-07-01，而不是 {got}。")


@dataclass(frozen=True, slots=True)
class BuiltLoad:
    """A generation that is built but not yet published."""

    project_id: str
    built: Built
    out: Path
    number: int
    """Number of the generation that it would replace; 0 where there is none."""
    replacement: Replacement


def load(
    workspace: Path,
    project_id: str,
    *,
    events: str | Sequence[str] = (),
    users: str | Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    time_zone: str = "",
    as_of: str = "",
    metadata: str = "",
    skip_bad_rows: bool = False,
    memory_limit: str | None = None,
    on_progress: Callable[[float, Text], None],
    sources: Sources | None = None,
    decide: Decide | None = None,
    agree: Callable[[Replacement], None] | None = None,
    by: str = "",
) -> LoadReport:
    """Load event and user files as the data of a project; it replaces what was there.

    `sources` says more of the files than `events`, `users` and `columns`. Questions that the files leave open are
    answered by the mapping of the last load, else by `decide`. `on_progress` takes percent, 0 to 100. LoadRefused where a
    file cannot be loaded; then nothing changed. `agree` is given what would be replaced, and raises where it must not be.
    `by` is who loads, for the log; without it nothing is logged.
    """
    named = Sources(events, users, columns or {}) if sources is None else sources
    named = replace(named, metadata=Path(metadata) if metadata else None)
    with ExitStack() as opened:
        home = Workspace.open(workspace)
        opened.callback(home.close)
        catalog = Catalog(home)
        opened.callback(catalog.close)
        out = home.temp_path(".duckdb")
        opened.callback(out.unlink, missing_ok=True)
        prepared = prepare(
            catalog,
            project_id,
            named,
            out,
            time_zone=time_zone,
            as_of=as_of,
            skip_bad_rows=skip_bad_rows,
            memory_limit=memory_limit,
            on_progress=on_progress,
            decide=decide,
        )
        with _logged(catalog, prepared, named, by) if by else nullcontext():
            if agree is not None:
                agree(prepared.replacement)
            publish(catalog, prepared)
        return prepared.built.report


@contextmanager
def _logged(catalog: Catalog, prepared: BuiltLoad, sources: Sources, by: str) -> Iterator[None]:
    """Write the row of a load into the log before it, and how it ended after it."""
    ledger, said = Ledger(catalog), prepared.replacement
    files = [source.pattern for source in sources.sources()] if sources.mapping is None else []
    files = files or [section.files for section in prepared.built.mapping.files]
    subject = Subject(
        tool="load",
        effect="create" if said.before is None else "replace",
        arguments=json.dumps({"files": files}, ensure_ascii=False),
        digest="",
        name=by,
        known="system",
        client="",
        platform="local",
        account="",
        project=prepared.project_id,
    )
    entry = ledger.begin(subject, before=listed(said.changes()).en, consent=None, way="", by="")
    try:
        yield
    except BaseException as error:
        refused = isinstance(error, ConsentDeclined | LoadRefused)
        ledger.end(entry, "refused" if refused else "failed", getattr(error, "code", type(error).__name__))
        raise
    ledger.end(entry, "done", next(report_lines(prepared.built.report)).en)


def prepare(
    catalog: Catalog,
    project_id: str,
    sources: Sources,
    out: Path,
    *,
    on_progress: Callable[[float, Text], None],
    time_zone: str = "",
    as_of: str = "",
    skip_bad_rows: bool = False,
    memory_limit: str | None = None,
    decide: Decide | None = None,
) -> BuiltLoad:
    """Build the file `out`, a new generation of a project, and compare it with the current one."""
    home = catalog.workspace
    own = sources.mapping.time_zone if sources.mapping is not None and not time_zone else time_zone
    project = catalog.find_project(project_id)
    current = catalog.generation_of(project) if project else None
    zone = own or (project.zone if project else "Asia/Shanghai")  # the vendor's default (qp.md section 2)
    spill = home.temp_path(".spill")
    try:
        built = build(
            sources,
            LoadOptions(project_id, zone, _date(as_of), skip_bad_rows),
            out,
            # Ids that were assigned in the current generation are kept.
            previous=home.absolute(current.parts[0]) if current else None,
            temp=spill,
            progress=lambda done, doing: on_progress(100 * done, doing),
            memory_limit=memory_limit or MEMORY_LIMIT,
            decide=remembering(catalog, project_id, decide),
        )
    finally:
        rmtree(spill, ignore_errors=True)
    compared = replacement(catalog, current.metadata if current else None, built.metadata)
    return BuiltLoad(project_id, built, out, current.number if current else 0, compared)


def publish(catalog: Catalog, prepared: BuiltLoad) -> None:
    """Make what was prepared the project's data. ChangedMeanwhile where other data was loaded since."""
    home, built = catalog.workspace, prepared.built
    final = home.result_path(home.data, f"project_{prepared.project_id}", ".duckdb")
    home.publish(prepared.out, final)
    facts = {
        "unknown_user_rows": built.report.unknown_user_rows,
        "report": built.report.model_dump(mode="json"),
        "mapping": write_mapping(built.mapping),
    }
    try:
        catalog.publish_generation(built.metadata, [home.relative(final)], facts, instead_of=prepared.number)
    except FenqunError:
        final.unlink(missing_ok=True)
        raise


def look(
    sources: Sources, time_zone: str = "Asia/Shanghai", memory_limit: str | None = None
) -> tuple[Proposal, list[Text]]:
    """Look at files without loading them: how they would be read, and the same in sentences."""
    with (
        TemporaryDirectory(prefix="fenqun-look-") as folder,
        closing(connect(Path(folder) / "spill", memory_limit=memory_limit)) as connection,
    ):
        looking = Look(connection, Path(folder))
        proposal = look_at(looking, sources, time_zone)
        examples = [looking.examples(seen) if seen.section.role != "log" else {} for seen in proposal.seen]
        return proposal, list(describe(proposal, examples))


def _last_mapping(catalog: Catalog, project_id: str) -> FileMapping | None:
    """The mapping of the project's last load."""
    known = catalog.find_project(project_id)
    text = catalog.generation(project_id).facts.get("mapping") if known is not None else None
    return parse_mapping(text, "the mapping of the last load") if isinstance(text, str) else None


def remembering(catalog: Catalog, project_id: str, decide: Decide | None = None) -> Decide:
    """Answer as the project's last load did; ask `decide` where that says nothing."""
    last = _last_mapping(catalog, project_id)

    def answers(proposal: Proposal, given: Answers) -> Answers | None:
        known = {
            question.key: value
            for question in proposal.questions
            if question.key not in given and last is not None and (value := remembered(last, question)) is not None
        }
        return known or (decide(proposal, given) if decide is not None else None)

    return answers


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidArguments(_BAD_DATE.format(got=repr(text))) from None


# The report of a load in sentences

_LOADED = Text("Loaded: {rows} events, {users} users.", "加载完成：{rows} 条事件，{users} 个用户。")
_LEFT_OUT = Text("They were left out.", "这些行已跳过。")
_NOT_A_NUMBER = Text(
    "NaN or infinite values of {name} that count as missing: {n}.", "{name} 中的 NaN 或无穷值按无值处理：{n} 个。"
)
_REPEATED = Text(
    "Times in an hour that the clock change repeats, read as the first of the two: {n}.",
    "落在时钟回拨重复时段内、按前一次取值的时间：{n} 个。",
)
_SKIPPED = Text(
    "Times in an hour that the clock change skips, moved forward: {n}.",
    "落在时钟拨快所跳过时段内、已顺延的时间：{n} 个。",
)
_CLAMPED = Text(
    "Times beyond the years 1 to 9999, moved to the nearest one: {n}.",
    "超出公元 1 至 9999 年、取最近边界的时间：{n} 个。",
)
_MIXED = Text("Column {name}: {note}", "列 {name}：{note}")
_STRANGERS = Text(
    "Events whose #user_id no user has, which select nobody: {n}.",
    "#user_id 不属于任何用户、不会选中任何人的事件：{n} 条。",
)
_UNKNOWN = Text(
    "Names of the metadata file that the data does not have: {names}.", "元数据文件中有、而数据中没有的名称：{names}。"
)


def report_lines(report: LoadReport) -> Iterator[Text]:
    """Yield what was loaded, and all that was left out or read otherwise than it looks; one sentence a line."""
    yield _LOADED.format(rows=f"{report.rows:,}", users=f"{report.users:,}")
    for bad in report.skipped:
        yield bad.text().then(_LEFT_OUT)
    for name, count in report.not_a_number.items():
        yield _NOT_A_NUMBER.format(name=name, n=f"{count:,}")
    counted = (
        (_REPEATED, report.repeated_times),
        (_SKIPPED, report.skipped_times),
        (_CLAMPED, report.clamped_times),
        (_STRANGERS, report.unknown_user_rows),
    )
    for sentence, count in counted:
        if count:
            yield sentence.format(n=f"{count:,}")
    for column in report.mixed:
        yield _MIXED.format(name=column.name, note=column.text)
    if report.unknown_names:
        yield _UNKNOWN.format(names=listed(report.unknown_names))
    yield from report.notes
