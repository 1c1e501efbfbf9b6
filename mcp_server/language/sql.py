"""A definition that is SQL: the text, its parameters, and what it was found to read (qp.md section 5)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

DayRange = str | tuple[str, str]
"""`recentDay` "A-B", or the first and the last day as `yyyy-MM-dd`, both included."""

SQL, PARAMETERS = SQL_KEYS = ("sql", "parameters")
"""The keys of such a definition. No page of the vendor has them; the project decides (qp.md section 5, P)."""


LONGEST = 20_000
"""Characters of one SQL."""


@dataclass(frozen=True, slots=True)
class SqlReads:
    """What the check of an SQL text found that it reads."""

    tables: tuple[str, ...] = ()
    """The project's tables, by their short names."""
    columns: tuple[str, ...] = ()
    """Columns of theirs that it names, as they are declared."""
    clusters: tuple[str, ...] = ()
    """Clusters and tags by name, as written."""
    any_cluster: bool = False
    """True where it may read every cluster and tag; `clusters` are then those that there were."""


@dataclass(frozen=True, slots=True)
class Sql:
    """SQL that returns the users of a cluster, or the users and values of a tag."""

    catalog: str
    """Whether it is a cluster's or a tag's, by the vendor's names (`model.CLUSTER`, `model.TAG`)."""
    sql: str
    """As it was written."""
    parameters: tuple[tuple[str, DayRange], ...] = ()
    """The days of each `${PartDate:name}`, by name."""
    reads: SqlReads = field(default_factory=SqlReads, compare=False)

    def wire(self) -> dict[str, Any]:
        """The documented form."""
        days = {name: value if isinstance(value, str) else list(value) for name, value in self.parameters}
        return {SQL: self.sql} | ({PARAMETERS: days} if days else {})

    def kept(self) -> dict[str, Any]:
        """The documented form with what it reads, so that nobody has to parse SQL to know that."""
        reads = {name: found for name, found in asdict(self.reads).items() if found}
        if self.reads.any_cluster:
            reads.pop("clusters", None)  # those of that moment; another computation reads others
        return self.wire() | ({"reads": reads} if reads else {})


def restored(kept: Mapping[str, Any], catalog: str) -> Sql:
    """A definition from what `Sql.kept` gave."""
    days = {name: value if isinstance(value, str) else (value[0], value[1]) for name, value in _days(kept).items()}
    found = kept.get("reads", {})
    tables, columns, clusters = (tuple(found.get(name, ())) for name in ("tables", "columns", "clusters"))
    reads = SqlReads(tables, columns, clusters, any_cluster=bool(found.get("any_cluster")))
    return Sql(catalog, kept[SQL], tuple(days.items()), reads)


def _days(kept: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = kept.get(PARAMETERS, {})
    return found


def sql_meaning_hash(definition: Sql) -> str:
    """As `model.meaning_hash`. Only blanks around the text and the order of parameters change nothing."""
    meaning = [definition.sql.strip().rstrip(";").rstrip(), sorted(definition.wire().get(PARAMETERS, {}).items())]
    return hashlib.sha256(json.dumps(meaning, ensure_ascii=False).encode()).hexdigest()[:32]
