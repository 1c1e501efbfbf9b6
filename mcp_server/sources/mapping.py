"""The mapping: one TOML file that decides how files are read, made to be edited and kept; and the questions it leaves open."""

import json
import tomllib
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Table_
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from mcp_server.language.metadata import Frozen
from mcp_server.language.suggest import nearest
from mcp_server.sources.forms import Type
from mcp_server.sources.report import refuse
from mcp_server.text import Text, listed

OPEN = "?"
"""What a key has as its value while nobody has decided it."""

Format = Literal["csv", "json", "json lines", "spreadsheet", "parquet", "tracking log"]
Role = Literal["events", "users", "log"]
ColumnType = Literal["text", "number", "bool", "time", "list", "pairs", "leave out", "?"]
Answers = Table_[str, Any]
"""Answers to questions: key of the question (or `files:key` for one section) to value."""


class ColumnRule(Frozen):
    """What one column is read as."""

    type: ColumnType
    read: str = ""
    name: str = ""

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: object) -> object:
        return {"type": value} if isinstance(value, str) else value


class FileSection(Frozen):
    """How the files of one kind are read. Keys are those of docs/loading.md."""

    files: str
    format: Format
    encoding: str = ""
    separator: str = ""
    escape: str = ""
    sheet: str = ""
    header: int = 1
    names: tuple[str, ...] = ()
    until: str = ""
    records: str = ""
    only: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    time_zone: str = ""
    role: Role | Literal["?"] = "?"
    user: str = ""
    no_user: Literal["", "leave out"] = ""
    device: str = ""
    event: str = ""
    event_name: str = ""
    time: str | tuple[str, ...] = ""
    times: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    once_per: str = ""
    each_row: str = ""
    user_columns: tuple[str, ...] = ()
    keep: Literal["", "first", "last"] = ""
    decimal: Literal[".", ","] = "."
    missing: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    others: Literal["", "leave out"] = ""
    columns: dict[str, ColumnRule] = Field(default_factory=dict)

    @field_validator("names", mode="before")
    @classmethod
    def _open(cls, value: object) -> object:
        return (OPEN,) if value == OPEN else value

    @field_validator("only", mode="before")
    @classmethod
    def _open_only(cls, value: object) -> object:
        return {OPEN: OPEN} if value == OPEN else value

    def moments(self) -> dict[str, tuple[str, ...]]:
        """Names of events (empty: the `event` column has them) and the columns of their times."""
        named = self.times or {self.event_name if not self.event else "": self.time}
        return {name: (at,) if isinstance(at, str) else at for name, at in named.items() if at}

    def open_keys(self) -> list[str]:
        """The keys that nobody has decided yet."""
        found = [
            key
            for key in ("role", "user", "device", "event", "event_name", "time", "once_per", "each_row", "sheet")
            if getattr(self, key) == OPEN
        ]
        found += [key for key in ("names", "only", "times") if OPEN in getattr(self, key)]
        for name, rule in self.columns.items():
            found += [f"columns.{name}"] if rule.type == OPEN else []
            found += [f"columns.{name}.read"] if rule.read == OPEN else []
        return found


class FileMapping(Frozen):
    """Everything that decides how the files of one load are read; nothing that they hold about people."""

    version: Literal[1] = 1
    time_zone: str = "Asia/Shanghai"
    files: tuple[FileSection, ...] = ()

    def open_keys(self) -> list[tuple[int, str]]:
        return [(i, key) for i, section in enumerate(self.files) for key in section.open_keys()]


class LoadQuestion(Frozen):
    """Something that the files do not decide. Answer it with its key and a value."""

    section: int
    files: str
    key: str
    choices: tuple[str, ...] = ()
    default: Any = None
    """What is taken where nobody is asked; None: nothing is taken, the load is refused."""
    why: Text
    counts: dict[str, int] = Field(default_factory=dict)

    @property
    def must(self) -> bool:
        return self.default is None


def plain_answer(key: str, value: Any) -> Any:
    """Return an answer as its key needs it: names and times may be written as lists of words, `only` as its choices."""
    if not isinstance(value, str):
        return value
    words = [
        word.strip()
        for word in value.replace("\n", ";").replace("；", ";").replace("，", ",").split(";" if key == "only" else ",")
        if word.strip()
    ]
    match key.rpartition(":")[2]:
        case "names":
            return words
        case "times":
            pairs = [word.partition("=") for word in words]
            return {name.strip(): column.strip() for name, _, column in pairs}
        case "only":
            parts = []
            for word in words:
                role, _, rest = word.partition(":")
                column, _, wanted = rest.partition("=")
                parts.append({"role": role.strip(), "only": {column.strip(): wanted.strip()}})
            return parts
        case _:
            return value


# Reading.


_LIST_FILES = Text(
    "Write one with: fenqun look FILE --mapping {path}", "可用此命令生成：fenqun look FILE --mapping {path}"
)


def read_mapping(path: Path) -> FileMapping:
    """Read a mapping file; LoadRefused where it is missing, no TOML, has unknown keys, or leaves something open."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise refuse(
            Text(f"The mapping {path} cannot be read: {error}.", f"无法读取映射文件 {path}：{error}。"),
            _LIST_FILES.format(path=path),
        ) from None
    mapping = parse_mapping(text, str(path))
    left = mapping.open_keys()
    if left:
        section, key = left[0]
        line = line_of(text, section, key)
        raise refuse(
            Text(
                f'{path}, line {line}: {key} = "?" still has to be decided ({len(left)} in all).',
                f'{path} 第 {line} 行：{key} = "?" 尚未确定（共 {len(left)} 处）。',
            ),
            Text(
                "Put one of the choices in the comment there in place of the question mark.",
                "请将问号改为该行注释中的某个选项。",
            ),
        )
    return mapping


def parse_mapping(text: str, source: str) -> FileMapping:
    """Return the mapping that a text holds."""
    try:
        return FileMapping.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise refuse(
            Text(f"{source} is not TOML: {error}.", f"{source} 不是有效的 TOML：{error}。"),
            Text("Fix that place; docs/loading.md shows a mapping.", "请修正该处；docs/loading.zh.md 有示例。"),
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        close = (
            nearest(str(first["loc"][-1]), tuple(FileSection.model_fields))
            if first["type"] == "extra_forbidden"
            else ""
        )
        raise refuse(
            Text(
                f"{source} is no mapping: {where}: {first['msg']}.",
                f"{source} 不是有效的映射：{where}：{first['msg']}。",
            ),
            Text(f"Did you mean {close!r}?", f"是否指 {close!r}？")
            if close
            else Text("docs/loading.md lists the keys.", "各项说明见 docs/loading.zh.md。"),
        ) from None


def line_of(text: str, section: int, key: str) -> int:
    """The line of a key in a section of a mapping's text, from 1; the line of the section where the key is not written."""
    wanted = key.removeprefix("columns.").removesuffix(".read")
    seen, start, inside = -1, 1, False
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() == "[[files]]":
            seen, inside = seen + 1, False
            start = number if seen == section else start
        inside = inside or line.strip() == "[files.columns]"
        name = line.split("=", 1)[0].strip()
        named = "=" in line and name in (wanted, _key(wanted), json.dumps(wanted, ensure_ascii=False))
        if seen == section and named and inside == key.startswith("columns."):
            return number
    return start


# Writing.


_TITLE = "# fenqun mapping, version 1. Edit it, keep it in git; `fenqun load --mapping {name}` reads tomorrow's files the same way."


def write_mapping(
    mapping: FileMapping,
    comments: Sequence[Table_[str, str]] = (),
    questions: Sequence[LoadQuestion] = (),
    name: str = "FILE",
) -> str:
    """Return the mapping as TOML. `comments` has for each section a comment by key; open questions show their choices."""
    lines = [
        _TITLE.format(name=name),
        "version = 1",
        f"time_zone = {toml_value(mapping.time_zone)}  # of times without an offset",
    ]
    for i, section in enumerate(mapping.files):
        said = dict(comments[i]) if i < len(comments) else {}
        for question in questions:
            if question.section == i and question.choices:
                said[question.key.removesuffix(".read")] = "one of: " + ", ".join(question.choices)
        lines += ["", "[[files]]", *_section(section, said)]
    return "\n".join(lines) + "\n"


def _section(section: FileSection, said: Table_[str, str]) -> Iterator[str]:
    for key in FileSection.model_fields:
        value = getattr(section, key)
        if key == "columns" or value in ("", (), {}) or (key == "decimal" and value == "."):
            continue
        if key == "header" and section.format not in ("csv", "spreadsheet"):
            continue
        if OPEN in (value if isinstance(value, tuple | dict) else ()):
            value = OPEN
        yield _line(key, toml_value(value), said.get(key, ""))
    if section.columns:
        yield ""
        yield "[files.columns]"
    for name, rule in section.columns.items():
        more = {key: getattr(rule, key) for key in ("type", "read", "name") if getattr(rule, key)}
        value = rule.type if len(more) == 1 else more
        yield _line(json.dumps(name, ensure_ascii=False), toml_value(value), said.get(f"columns.{name}", ""))


def _line(key: str, value: str, comment: str) -> str:
    return f"{key} = {value}" + (f"  # {' '.join(comment.split())}" if comment else "")


def _key(name: str) -> str:
    plain = name.isascii() and name and all(letter.isalnum() or letter in "_-" for letter in name)
    return name if plain else json.dumps(name, ensure_ascii=False)


def toml_value(value: object) -> str:
    """Return a value as TOML writes it, on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(str(key))} = {toml_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def known_type(word: str) -> Type | Literal["leave out", ""]:
    """The type that a word of `--types` names; empty where it names none."""
    return word if word in ("text", "number", "bool", "time", "list", "leave out") else ""  # type: ignore[return-value]


def unknown_columns(section: FileSection, names: Sequence[str]) -> list[str]:
    """Columns that the section decides something with and the files do not have."""
    times = [column for columns in section.moments().values() for column in columns]
    wanted = [
        section.user,
        section.device,
        section.event,
        *times,
        section.once_per,
        *section.user_columns,
        *section.only,
    ]
    known = {name.casefold() for name in names}
    return [name for name in dict.fromkeys(wanted) if name and name.casefold() not in known]


def refuse_unknown(missing: Sequence[str], names: Sequence[str], source: str) -> Exception:
    """The error for a file that lacks columns that the mapping names."""
    gone, there = listed(missing), listed([name[:60] for name in names[:30]])
    close = nearest(missing[0], list(names))
    return refuse(
        Text(f"{source} has no column {gone.en}, which the mapping names.", f"{source} 没有映射中提到的列 {gone.zh}。"),
        Text(f"Did you mean {close!r}?", f"是否指 {close!r}？").then(
            Text(f"The columns are: {there.en}.", f"现有列：{there.zh}。")
        )
        if close
        else Text(f"The columns are: {there.en}.", f"现有列：{there.zh}。"),
    )
