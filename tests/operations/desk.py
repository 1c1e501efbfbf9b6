"""One process on a small workspace, spoken to by the names of its operations; every answer is held to its contract.

A result has to validate against the published output schema; an error has to speak both languages. Both are
checked for every call of every test.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import duckdb
import pytest
from jsonschema import Draft202012Validator

from mcp_server.app import App, build
from mcp_server.consent.invoke import find, invoke
from mcp_server.errors import FenqunError, InternalError
from mcp_server.front.mcp import rendering
from mcp_server.language.metadata import Metadata
from mcp_server.operations.arguments import output_schema
from mcp_server.operations.operation import Ask, KnownAnswer, Operation, Result
from mcp_server.operations.registry import OPERATIONS
from mcp_server.platforms.segments import OnProgress
from mcp_server.settings import Settings
from mcp_server.store.catalog import Catalog
from mcp_server.text import Language, Text

PATIENCE = 20.0
"""Seconds after which a test that waits for something has failed."""

STATIC, DYNAMIC = "cluster_by_static_condition", "cluster_by_dynamic_condition"

_EVENTS = """CREATE VIEW events AS SELECT i AS "$row", i % 4 + 1 AS "#user_id", 'buy' AS "#event_name",
  TIMESTAMP '2026-07-01 04:00:00' AS "#event_time", i::DOUBLE AS price FROM range({}) t(i)"""
EVENTS_WITHOUT_END = _EVENTS.format(10**11)
"""More events than any machine counts while a test waits: a view, so it takes no space."""
MANY_EVENTS = _EVENTS.format(10**9)
"""So many that progress is seen to grow."""
USERS = "CREATE TABLE users AS SELECT i::BIGINT AS \"#user_id\", i AS level, 'x' AS city FROM range(1, 5) t(i)"

_CHINESE = re.compile("[\u4e00-\u9fff]")
_QUOTED = re.compile("“[^”]*”")
"""Words of a user or of a vendor."""
_ENGLISH_SENTENCE = re.compile(r"[A-Za-z]+ [a-z]{2,} [a-z]{2,}")


def times(comparator: str, num: object, event: str = "buy", **more: object) -> dict[str, Any]:
    """An event condition that counts rows."""
    return {
        "eventName": event, "comparator": comparator, "num": num, "taPropQuota": {"analysis": "TIMES"}, **more
    }  # fmt: skip


def of_user(column: str, comparator: str, *ftv: object) -> dict[str, Any]:
    """A condition on a user property."""
    return {"tableType": "user", "columnName": column, "comparator": comparator, "ftv": list(ftv)}


@cache
def _validator(operation: Operation[Any, Any]) -> Draft202012Validator:
    return Draft202012Validator(output_schema(operation))


def as_sent(operation: Operation[Any, Any], result: Result) -> dict[str, Any]:
    """The structured content of a result, after it was held against the published schema."""
    data = rendering.structured(result)
    _validator(operation).validate(json.loads(json.dumps(data, allow_nan=False)))
    return data


def check_error(error: FenqunError) -> None:
    """An error is no bug, has a code, and says everything in both languages."""
    assert not isinstance(error, InternalError), error.__cause__
    assert error.code
    parts = [error.message, error.next_step, *(p.message for p in error.problems), *(r.reason for r in error.repairs)]
    for part in parts:
        if part != Text("", ""):
            assert part.en.strip()
            check_chinese(part.zh)
    for problem in error.problems:
        assert len(problem.got) <= 201
        assert problem.path == "" or problem.path.startswith("/")
    for language in ("en", "zh"):
        data = rendering.structured_error(error, language)
        json.dumps([data, rendering.error_text(data, language)], ensure_ascii=False, allow_nan=False).encode()


def check_chinese(words: str) -> None:
    """A Chinese sentence, in which names and words of the wire may stand but no English one."""
    assert _CHINESE.search(words), words
    assert not _ENGLISH_SENTENCE.search(_QUOTED.sub("", words)), words


def _sentences(data: Mapping[str, Any]) -> Iterator[str]:
    """Everything in a result that is in the language of the call."""
    yield from (data[key] for key in ("message", "next") if key in data)
    yield from (row["message"] for key in ("problems", "warnings") for row in data.get(key, ()))
    yield from (row["reason"] for row in data.get("repairs", ()))
    yield from data.get("notes", ())
    yield from data.get("changes", ())
    clusters = [*data.get("clusters", ()), data.get("cluster", {})]
    yield from (row["note"] for row in clusters if "note" in row)


@dataclass
class Desk:
    """What one process works with, and short ways to use it."""

    app: App
    language: Language = "en"
    ask: Ask = field(default_factory=KnownAnswer)
    """Who is asked: somebody who says yes."""

    def __call__(self, name: str, **arguments: object) -> Any:
        """The result of a call."""
        return anyio.run(self.asked, name, arguments)

    async def asked(self, name: str, arguments: Mapping[str, object], report: OnProgress | None = None) -> Any:
        """The same inside an event loop, with progress."""
        operation = find(OPERATIONS, name)
        deps = replace(self.app.deps, language=self.language, ask=self.ask)
        try:
            result = await invoke(operation, arguments, replace(deps, report=report) if report else deps)
        except FenqunError as error:
            check_error(error)
            raise
        data = as_sent(operation, result)
        if self.language == "zh":
            for words in _sentences(data):
                check_chinese(words)
        return result

    def refused(self, name: str, **arguments: object) -> FenqunError:
        """The error of a call that has to fail."""
        with pytest.raises(FenqunError) as caught:
            self(name, **arguments)
        return caught.value

    def speaking(self, language: Language) -> "Desk":
        return replace(self, language=language)

    def create(self, name: str, definition: object, cluster_type: str = STATIC, **more: object) -> Any:
        """Create a cluster; the row of the result."""
        made = self(
            "create_cluster", cluster_name=name, display_name=name, cluster_type=cluster_type, qp=definition, **more
        )
        return made.cluster

    def row(self, name: str) -> Any:
        """The row of a cluster as get_cluster tells it."""
        return self("get_cluster", cluster=name).cluster

    # below the operations

    @property
    def catalog(self) -> Catalog:
        found: Catalog = self.app.deps.segments._catalog  # type: ignore[attr-defined]
        return found

    @property
    def metadata(self) -> Metadata:
        return self.catalog.metadata("1")

    def everything(self) -> dict[str, list[tuple[object, ...]]]:
        """Every row of every table of the catalogue but those of consent, log and exported files."""
        tables = [r["name"] for r in self.catalog.database.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        kept = [t for t in tables if t not in ("act", "consent", "handed_file", "secret", "sqlite_sequence")]
        return {t: [tuple(r) for r in self.catalog.database.rows(f"SELECT * FROM {t}")] for t in kept}

    def jobs(self, state: str = "") -> list[dict[str, Any]]:
        """All jobs there ever were, oldest first; only those in this state."""
        found = [dict(r) for r in self.catalog.database.rows("SELECT * FROM job ORDER BY id")]
        return [job for job in found if state in ("", job["state"])]

    def load(self, *statements: str, **changes: object) -> None:
        """Replace the data by a file that these statements make; `changes` are those of the metadata."""
        workspace = self.catalog.workspace
        temp, final = workspace.temp_path(".duckdb"), workspace.result_path(workspace.data, "project_1", ".duckdb")
        with duckdb.connect(str(temp)) as db:
            for statement in statements:
                db.execute(statement)
        workspace.publish(temp, final)
        metadata = Metadata.model_validate({**self.metadata.model_dump(), **changes})
        self.catalog.publish_generation(metadata, [workspace.relative(final)], {"unknown_user_rows": 0})

    def load_again(self, **changes: object) -> None:
        """Load the same data again."""
        part = self.catalog.workspace.absolute(self.catalog.generation("1").parts[0])
        tables = [f"CREATE TABLE {t} AS SELECT * FROM old.{t}" for t in ("users", "events")]
        self.load(f"ATTACH '{part}' AS old (READ_ONLY)", *tables, "DETACH old", **changes)


class Watch:
    """A clock that a test sets."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment


async def until(happened: Callable[[], object]) -> None:
    """Wait for something that another thread does."""
    with anyio.fail_after(PATIENCE):
        while not happened():  # noqa: ASYNC110 - another thread or process does it, without an event
            await anyio.sleep(0.005)


def opened(root: Path, **settings: Any) -> Iterator[Desk]:
    """A process on a workspace, closed at the end."""
    app = build(Settings(workspace=root, threads=2, **settings))
    try:
        yield Desk(app)
    finally:
        app.close()
