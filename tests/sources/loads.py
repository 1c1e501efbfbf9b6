"""Loading small files in tests: write them, load them, ask the generation that was made."""

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mcp_server.errors import LoadRefused
from mcp_server.language.metadata import Property
from mcp_server.sources.loading import Built, LoadOptions, Sources, build
from mcp_server.text import Text

SHANGHAI = LoadOptions("1", "Asia/Shanghai")
TIME = "2024-05-01 10:00:00"
HEAD = "#user_id,#event_name,#event_time"


@dataclass
class Loaded:
    """A generation and what its load told."""

    path: Path
    built: Built
    progress: list[float] = field(default_factory=list)

    @cached_property
    def database(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(self.path), read_only=True, config={"threads": "1"})

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.database.execute(sql).fetchall()

    def values(self, name: str, table: str = "events") -> list[Any]:
        """One column, events in file order, users by id."""
        order = '"$row"' if table == "events" else '"#user_id"'
        return [row[0] for row in self.rows(f'SELECT "{name}" FROM {table} ORDER BY {order}')]

    def kind(self, name: str, table: str = "events") -> str:
        return str(
            self.rows(
                f"SELECT data_type FROM duckdb_columns() WHERE table_name = '{table}' AND column_name = '{name}'"
            )[0][0]
        )

    def property(self, name: str, table: str = "event") -> Property:
        found = self.built.metadata.property(table, name)
        assert found is not None
        return found


def write(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def ndjson(path: Path, objects: Sequence[object]) -> str:
    return write(path, "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects))


def parquet(path: Path, select: str) -> str:
    with closing(duckdb.connect()) as database:
        database.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    return str(path)


def load(
    tmp_path: Path,
    sources: Sources,
    options: LoadOptions = SHANGHAI,
    *,
    previous: Path | None = None,
    name: str = "generation",
) -> Loaded:
    out = tmp_path / f"{name}.duckdb"
    told: list[float] = []

    def tell(share: float, text: Text) -> None:
        assert text.en
        assert text.zh
        told.append(share)

    built = build(sources, options, out, previous=previous, temp=tmp_path / "temp", progress=tell)
    return Loaded(out, built, told)


def refused(tmp_path: Path, sources: Sources, options: LoadOptions = SHANGHAI) -> LoadRefused:
    """The error of a load that must fail and leave nothing behind."""
    with pytest.raises(LoadRefused) as caught:
        load(tmp_path, sources, options, name="refused")
    assert list(tmp_path.glob("refused*")) == []
    assert caught.value.message.zh
    return caught.value


def events_csv(tmp_path: Path, *lines: str, head: str = HEAD, name: str = "events.csv") -> str:
    return write(tmp_path / name, "\n".join([head, *lines]) + "\n")


def one_column(tmp_path: Path, *values: str) -> Sources:
    """A CSV with one property `x`, whose fields are written exactly as given."""
    return Sources(events_csv(tmp_path, *(f"1,a,{TIME},{value}" for value in values), head=f"{HEAD},x"))


def one_key(tmp_path: Path, *values: object) -> Sources:
    """Newline-delimited JSON with one property `x`."""
    system = {"#user_id": 1, "#event_name": "a", "#event_time": TIME}
    return Sources(ndjson(tmp_path / "events.ndjson", [system | {"x": value} for value in values]))
