"""Problems and warnings of a tag's meaning: as `meaning.py`, for what only tags have (qp.md section 5)."""

from collections.abc import Iterator

from mcp_server.errors import Problem
from mcp_server.qp import keys
from mcp_server.qp import vocabulary as words
from mcp_server.qp.meaning import Dict, Finder, Path, dicts
from mcp_server.qp.problems import finding


class TagFinder(Finder):
    """Finds everything of meaning in one repaired definition of a tag."""

    def findings(self) -> list[Problem]:
        """All problems and warnings of meaning, in order."""
        root = self.done.value if isinstance(self.done.value, dict) else {}
        return [*self._tag_values(root), *self._first_last(root), *self._metric(root)]

    def _tag_values(self, root: Dict) -> Iterator[Problem]:
        seen: dict[str, Path] = {}
        conditions = []
        for i, node in dicts(root.get(keys.VALUES)):
            here, value = (keys.VALUES, i, "tagValue"), node.get("tagValue")
            if isinstance(value, str) and value in seen:
                yield finding("tag_value_twice", self._at(*here), got=value, other=self._at(*seen[value]))
            elif isinstance(value, str):
                seen[value] = here
            yield from self._qp(node.get("userClusterDef"), (keys.VALUES, i, "userClusterDef"))
            conditions.append({"userClusterDef": node.get("userClusterDef", i)})
        yield from self._twice(conditions, (keys.VALUES,))

    def _first_last(self, root: Dict) -> Iterator[Problem]:
        path = (keys.FIRST_LAST, keys.FIRST_LAST_EVENT)
        node = _inner(root, path)
        if node is None:
            return
        yield from self._event_known(node, path)
        yield from self._taken(node, path)
        yield from self._rows(node, path, self._event_of(node))

    def _taken(self, event: Dict, path: Path) -> Iterator[Problem]:
        """The property whose value becomes the tag's: one that is known, and holds a single value."""
        inner = ("calcPropVo", "property")
        node = _inner(event, inner) or {}
        table, name = node.get("tableType"), node.get("columnName")
        if table not in words.TABLES_IN_EVENT or not isinstance(name, str) or not name:
            return
        here = (*path, *inner, "columnName")
        found = self.metadata.property(table, name)
        if found is None:
            yield self._property_unknown(table, name, here, inside=True)
        elif found.type == "list":
            yield finding("tag_property_list", self._at(*here), got=found.name, name=found.name)
        elif table == "event":
            yield from self._carried(found, self._event_of(event), here)

    def _metric(self, root: Dict) -> Iterator[Problem]:
        path = (keys.QUOTA, keys.QUOTA_EVENT)
        node = _inner(root, path)
        if node is None:
            return
        event = self._event_of(node)
        yield from self._event_known(node, path)
        yield from self._measure(node, path, event)
        yield from self._rows(node, path, event)


def _inner(node: object, path: tuple[str, ...]) -> Dict | None:
    """The object at a path; None where there is none."""
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else None
