"""Arguments of a call: parameters that operations share, their published schemas, and tolerant reading of what clients send."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal, NoReturn

from pydantic import AfterValidator, BaseModel, Field, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema

from mcp_server.errors import InvalidArguments, Problem
from mcp_server.language.problems import pointer, shorten
from mcp_server.language.suggest import nearest
from mcp_server.operations.operation import Operation, P, R
from mcp_server.text import NOTHING, Text, listed, same

# Shared parameters, each described once
#
# An optional parameter has an empty default (`""`, `()`, `False`), never `None` on the wire: a caller leaves it out.


MOST_REMARKS = 500
"""Characters of remarks: lists show them, and a chat has no room for pages."""


@dataclass(frozen=True, slots=True)
class RawDefinition:
    """Marks a parameter that is a whole definition, passed on exactly as it came: an object or JSON text.

    The definition language has a tolerant reader of its own, which reports every change with its path; a
    second reader in front of it would hide some of them. The published schema is the language's own: all of
    it where `full`, else its first-level keys (qp.md sections 1 and 5).
    """

    full: bool = False
    tag: bool = False

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        from mcp_server.language import schema

        if self.tag:
            return schema.full_tag() if self.full else schema.brief_tag()
        return schema.full_qp() if self.full else schema.brief_qp()


@dataclass(frozen=True, slots=True)
class ObjectsAsText:
    """Marks a list of texts whose entries may also be objects: those are passed on as JSON text."""


@dataclass(frozen=True, slots=True)
class EmptyIsAbsent:
    """Marks an optional parameter of which an empty object or list means that it was left out (qp.md section 1)."""


DefinitionArgument = Annotated[Any, RawDefinition()]
FullDefinition = Annotated[Any, RawDefinition(full=True)]
TagDefinition = Annotated[Any, RawDefinition(tag=True)]
FullTagDefinition = Annotated[Any, RawDefinition(full=True, tag=True)]


CLEAR = "-"
"""Remarks that remove the old ones. An empty text is absent, as everywhere (qp.md section 1)."""


def _short_enough(remarks: str) -> str:
    if len(remarks) > MOST_REMARKS:
        too_long = Text(
            "Remarks have at most {most} characters; these have {count}.", "备注最多 {most} 个字符，当前为 {count} 个。"
        )
        raise ValueError(too_long.format(most=MOST_REMARKS, count=len(remarks)))
    return remarks


ClusterName = Annotated[str, Field(description="Letter, then letters, digits, _; at most 24")]
DisplayName = Annotated[str, Field(description="At most 50 characters, any language")]
ClusterRef = Annotated[str, Field(min_length=1, description="Id or name of a cluster or tag")]
Remarks = Annotated[str, AfterValidator(_short_enough)]
ProjectId = Annotated[str, Field(description="Only for another project")]
DryRun = Annotated[bool, Field(description="Only say what would happen")]
WaitSeconds = Annotated[float, Field(ge=0, le=300, description="Longest wait for the result, in seconds")]
Limit = Annotated[int, Field(ge=1, le=100, description="Most entries to return")]
Offset = Annotated[int, Field(ge=0, le=1_000_000, description="Entries to skip")]
Search = Annotated[str, Field(max_length=200, description="Words to look for, English or Chinese")]
Properties = Annotated[tuple[str, ...], Field(max_length=50, description="User properties to show")]


# Published JSON Schemas (2020-12)
#
# Made from the pydantic models, in a form that every client understands: one object at the root without combinators, no
# references, no generated titles, no `null` (an optional key is simply absent), no empty defaults. Properties are in
# the order of the models.


Schema = dict[str, Any]

_COMBINATORS = ("anyOf", "oneOf", "allOf")
_MAPS = ("properties", "patternProperties")
_LISTS = (*_COMBINATORS, "prefixItems")
_SINGLE = ("items", "additionalProperties", "not", "contains", "propertyNames")


def input_schema(operation: Operation[Any, Any]) -> Schema:
    """The schema of the arguments, made once: do not change it."""
    model: type[BaseModel] = operation.params
    return _published(model, "validation")


def output_schema(operation: Operation[Any, Any]) -> Schema:
    """The schema of the answer, made once for all operations with this result: do not change it.

    An act that a person has to agree to can also answer that it waits (`WAITING`), with `message` and `next` only.
    """
    model: type[BaseModel] = operation.result
    schema = _published(model, "serialization")
    if not operation.effect.destroys:
        return schema
    status = {"type": "string", "enum": [WAITING]}
    return schema | {"properties": schema["properties"] | {"status": status}, "required": ["message"]}


WAITING: Final = "waiting_for_approval"
"""The `status` of an answer to an act that nobody in the client could agree to: nothing was changed yet."""


@cache
def _published(model: type[BaseModel], mode: Literal["validation", "serialization"]) -> Schema:
    raw = model.model_json_schema(mode=mode)
    plain = _plain(raw, raw.get("$defs", {}), (), close=mode == "serialization")
    combined = [word for word in _COMBINATORS if word in plain]
    if combined or plain.get("type") != "object":
        raise ValueError(f"{model.__name__}: the root of a tool schema is one plain object, without {combined}")
    return {
        "type": "object",
        "properties": plain.get("properties", {}),
        **({"required": plain["required"]} if plain.get("required") else {}),
        **({"additionalProperties": False} if mode == "serialization" else {}),
    }


def _plain(schema: Schema, definitions: Mapping[str, Schema], inside: tuple[str, ...], *, close: bool) -> Schema:
    """One schema with everything below it, rewritten; `close` refuses unknown keys in every object."""
    schema = _resolved(schema, definitions, inside, close=close)

    def below(part: Schema) -> Schema:
        return _plain(part, definitions, inside, close=close)

    out: Schema = {}
    for key, value in schema.items():
        if key == "$defs" or (key == "title" and isinstance(value, str)) or (key == "default" and _empty(value)):
            continue
        if key in _MAPS:
            out[key] = {name: below(part) for name, part in value.items()}
        elif key in _LISTS:
            out[key] = [below(part) for part in value if part.get("type") != "null"]
        elif key in _SINGLE and isinstance(value, dict):
            out[key] = below(value)
        else:
            out[key] = value
    _refuse_required_nulls(schema)
    for word in _COMBINATORS:
        if len(out.get(word, ())) == 1:
            out = {**out.pop(word)[0], **out}
    if close and "properties" in out:
        out.setdefault("additionalProperties", False)
    return out


def _resolved(schema: Schema, definitions: Mapping[str, Schema], inside: tuple[str, ...], *, close: bool) -> Schema:
    """The schema with its reference, if it is one, resolved. A class docstring is for readers of the code."""
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].rsplit("/", 1)[-1]
    if name in inside:
        raise ValueError(f"{name} contains itself; a published schema has no references")
    target = _plain(definitions[name], definitions, (*inside, name), close=close)
    target.pop("description", None)
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def _refuse_required_nulls(schema: Schema) -> None:
    for name in schema.get("required", ()):
        if {"type": "null"} in schema.get("properties", {}).get(name, {}).get("anyOf", ()):
            raise ValueError(f"{name} is required and may be null; make it optional, absent means nothing")


def _empty(value: object) -> bool:
    """Whether a default means the same as leaving the key out. Zero is a number and means something."""
    return value is None or value is False or value in ("", [], {})


# Reading arguments
#
# Clients send objects, lists, numbers and bools as JSON text, `""` or null for what they leave out, and ids as numbers;
# all that is accepted. Anything else that does not fit is a problem with its path; all problems of a call are reported
# at once. A definition is passed on as it came (`RawDefinition`).
#
# Pydantic's lax mode reads other things: true as 1, "yes" and 1 as true, "1_000" as a number, and no list from text. So
# values are converted here by the type in their schema, and the models only check what is left: bounds, words, lengths.


MAX_TEXT = 20_000
"""Characters of one text argument. Definitions have limits of their own (qp.md section 1)."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_UNFIT = re.compile("[\x00\ud800-\udfff]")
_MAX_DIGITS = 40
_SIGNS_BETWEEN = re.compile(r"[,，、;；\n]+")

Place = tuple[str | int, ...]

_DO_NOT_FIT = Text("The arguments of {tool} do not fit: {count}.", "{tool} 的参数有 {count}。")
_FIX = Text("Fix them and call {tool} again.", "请修正后重新调用 {tool}。")
_UNKNOWN = Text("This tool has no such argument. It takes: {expected}.", "该工具没有这个参数。可用参数：{expected}。")
_MISSING = Text("This argument is required: {expected}.", "缺少必填参数：{expected}。")
_TYPE = Text("This is {kind}; expected {expected}.", "这里是{kind}；应为{expected}。")
_VALUE = Text("Not allowed here; expected {expected}.", "取值不合要求；应为{expected}。")
_UNFIT_TEXT = Text(
    "The text holds a NUL or an incomplete Unicode character; send it again as plain text.",
    "文本中含有 NUL 或残缺的 Unicode 字符；请重新以普通文本传入。",
)
_TOO_LONG = Text("The text is longer than {most} characters.", "文本超过 {most} 个字符。")

_KINDS: Mapping[str, Text] = {
    "string": Text("text", "文本"),
    "integer": Text("a whole number", "整数"),
    "number": Text("a number", "数字"),
    "boolean": Text("true or false", "true 或 false"),
    "array": Text("a list", "列表"),
    "object": Text("an object", "对象"),
    "null": Text("null", "null"),
}
_YES_NO: Mapping[object, str] = {"yes": "true", "1": "true", "on": "true", "no": "false", "0": "false", "off": "false"}


def read_arguments(operation: Operation[P, R], arguments: Mapping[str, object]) -> P:
    """The arguments as the operation's parameters. Raises InvalidArguments with every problem there is."""
    schema = input_schema(operation)
    fields = operation.params.model_fields
    free = [name for name in fields if name not in arguments]
    problems = [_unknown(name, value, fields, free) for name, value in arguments.items() if name not in fields]
    shaped: dict[str, object] = {}
    for name, field in fields.items():
        value, marks = arguments.get(name), set(map(type, field.metadata))
        may_be_blank = field.is_required() and field.annotation is str  # elsewhere `""` is absent (qp.md section 1)
        if value is None or (value == "" and not may_be_blank):
            continue
        if EmptyIsAbsent in marks and _parsed(value) in ({}, []):
            continue
        if ObjectsAsText in marks:
            value = _as_texts(value)
        shaped[name] = value if RawDefinition in marks else _fit(value, schema["properties"][name], (name,), problems)
    reported = {p.path.split("/")[1] for p in problems}
    try:
        params = operation.params.model_validate(shaped)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        problems += [_problem_of(e, schema) for e in errors if not (e["loc"] and str(e["loc"][0]) in reported)]
    if problems:
        count = Text("1 problem" if len(problems) == 1 else f"{len(problems)} problems", f"{len(problems)} 处问题")
        raise InvalidArguments(
            _DO_NOT_FIT.format(tool=operation.name, count=count),
            next_step=_FIX.format(tool=operation.name),
            problems=problems,
        )
    return params


def _fit(value: object, schema: Schema, at: Place, problems: list[Problem]) -> object:
    """The value in the type of its schema; unchanged, with a problem, where it can't be read as that."""
    kind = schema.get("type", "")
    if kind == "array":
        return _fit_list(value, schema, at, problems)
    if kind == "object":
        return _fit_object(value, schema, at, problems)
    if kind not in _SCALARS:
        return value
    fitted = _SCALARS[kind](value)
    if fitted is None:
        word = value.strip().casefold() if isinstance(value, str) else shown(value)
        return _wrong_type(value, schema, at, problems, _YES_NO.get(word, "") if kind == "boolean" else "")
    if isinstance(fitted, str) and _UNFIT.search(fitted):
        problems.append(Problem(pointer(at), "argument_value", _UNFIT_TEXT, shown(value)))
    elif isinstance(fitted, str) and len(fitted) > MAX_TEXT:
        problems.append(Problem(pointer(at), "argument_value", _TOO_LONG.format(most=MAX_TEXT), shown(value)))
    return fitted


def _text(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**_MAX_DIGITS:
        return str(value)
    return value if isinstance(value, str) else None


def _integer(value: object) -> int | None:
    number = _number(value)
    if isinstance(number, float) and number.is_integer():
        return int(number)
    return number if isinstance(number, int) else None


def _number(value: object) -> int | float | None:
    """A finite number, also from text; None for everything else. A bool is not a number."""
    if isinstance(value, str) and len(value) <= _MAX_DIGITS and _NUMBER.fullmatch(value.strip()):
        value = json.loads(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        return value if abs(value) < 10**_MAX_DIGITS else None
    return value if math.isfinite(value) else None


def _bool(value: object) -> bool | None:
    word = value.strip().casefold() if isinstance(value, str) else ""
    return value if isinstance(value, bool) else {"true": True, "false": False}.get(word)


_SCALARS: Mapping[str, Callable[[object], object]] = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _bool,
}


def _fit_list(value: object, schema: Schema, at: Place, problems: list[Problem]) -> object:
    items = _parsed(value)
    if not isinstance(items, list | tuple):
        lone = isinstance(value, str) and schema.get("items", {}).get("type") == "string"
        parts = [part.strip() for part in _SIGNS_BETWEEN.split(value) if part.strip()] if isinstance(value, str) else []
        suggestion = shorten(json.dumps(parts, ensure_ascii=False)) if lone and 0 < len(str(value)) < 100 else ""
        return _wrong_type(value, schema, at, problems, suggestion)
    return [_fit(item, schema.get("items", {}), (*at, n), problems) for n, item in enumerate(items)]


def _fit_object(value: object, schema: Schema, at: Place, problems: list[Problem]) -> object:
    members = _parsed(value)
    if not isinstance(members, Mapping):
        return _wrong_type(value, schema, at, problems)
    known: Mapping[str, Schema] = schema.get("properties", {})
    rest = schema.get("additionalProperties")
    other: Schema = rest if isinstance(rest, dict) else {}
    return {key: _fit(part, known.get(key, other), (*at, key), problems) for key, part in members.items()}


def _parsed(value: object) -> object:
    """The content of a JSON text; the value itself where it is no text or no JSON (also: too deep, NaN)."""

    def refuse_constant(word: str) -> NoReturn:
        raise ValueError(f"{word} is not JSON")

    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return value


def _as_texts(value: object) -> object:
    """A list with its objects as JSON text; anything else as it is."""
    items = _parsed(value)
    if not isinstance(items, list | tuple):
        return value
    return [json.dumps(item, ensure_ascii=False) if isinstance(item, Mapping) else item for item in items]


# Problems


def _unknown(name: str, value: object, legal: Iterable[str], free: Iterable[str], at: Place = ()) -> Problem:
    """A key that does not exist; the suggestion is the nearest one that is still `free`."""
    expected = listed(list(legal) or ["-"])
    message = _UNKNOWN.format(expected=expected)
    return Problem(
        pointer([*at, shorten(name)]), "argument_unknown", message, shown(value), expected, nearest(name, free)
    )


def _wrong_type(value: object, schema: Schema, at: Place, problems: list[Problem], suggestion: str = "") -> object:
    expected = expectation(schema)
    message = _TYPE.format(kind=_kind(value), expected=expected)
    problems.append(Problem(pointer(at), "argument_type", message, shown(value), expected, suggestion))
    return value


def _problem_of(error: Any, schema: Schema) -> Problem:
    """A finding of pydantic as a problem of ours."""
    at: Place = error["loc"]
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        keys = _schema_at(schema, at[:-1]).get("properties", {})
        return _unknown(str(at[-1]), value, keys, keys, at[:-1])
    path = pointer([shorten(part) if isinstance(part, str) else part for part in at])
    if kind == "value_error":
        raised = error.get("ctx", {}).get("error")
        words = raised.args[0] if isinstance(raised, Exception) and raised.args else error["msg"]
        message = words if isinstance(words, Text) else same(words)  # `raise ValueError(Text(…))` has both languages
        return Problem(path, "argument_value", message, shown(value) if at else "")
    wanted = _schema_at(schema, at)
    expected = expectation(wanted)
    if kind == "missing":
        return Problem(path, "argument_missing", _MISSING.format(expected=expected), "", expected)
    if kind.endswith(("_type", "_parsing")):
        message = _TYPE.format(kind=_kind(value), expected=expected)
        return Problem(path, "argument_type", message, shown(value), expected)
    message = _VALUE.format(expected=expected)
    return Problem(path, "argument_value", message, shown(value), expected, _legal_near(value, wanted))


def _legal_near(value: object, schema: Schema) -> str:
    """The nearest value that the schema allows: a word, or a bound."""
    if isinstance(value, str):
        legal = [str(word) for word in schema.get("enum", ())]
        part_of = (word for word in legal if value.strip().casefold() in word.split("_"))
        return next(part_of, "") or nearest(value, legal)
    if isinstance(value, int | float) and value < schema.get("minimum", value):
        return str(schema["minimum"])
    if isinstance(value, int | float) and value > schema.get("maximum", value):
        return str(schema["maximum"])
    return ""


def _schema_at(schema: Schema, at: Iterable[str | int]) -> Schema:
    for part in at:
        below = schema.get("items") if isinstance(part, int) else schema.get("properties", {}).get(part)
        schema = below if isinstance(below, dict) else {}
    return schema


def expectation(schema: Schema) -> Text:
    """What a schema allows, in words: `a whole number, 1 to 100`, `one of csv, parquet`."""
    words = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    if words:
        legal = listed(words)
        return legal if len(words) == 1 else Text(f"one of {legal.en}", f"以下之一：{legal.zh}")
    kind = _KINDS.get(schema.get("type", ""), Text("another value", "其他取值"))
    for limit in (
        _limits(schema, "minimum", "maximum", NOTHING),
        _limits(schema, "minLength", "maxLength", Text(" characters", " 个字符")),
        _limits(schema, "minItems", "maxItems", Text(" entries", " 项")),
    ):
        if any(limit):
            kind = Text(f"{kind.en}, {limit.en}", f"{kind.zh}（{limit.zh}）")
    return kind


def _limits(schema: Schema, low: str, high: str, unit: Text) -> Text:
    least, most = schema.get(low), schema.get(high)
    if least is not None and most is not None:
        return Text(f"{least} to {most}{unit.en}", f"{least} 至 {most}{unit.zh}")
    if least == 1 and unit.en:
        return Text("not empty", "不能为空")
    if least is not None:
        return Text(f"at least {least}{unit.en}", f"至少 {least}{unit.zh}")
    return Text(f"at most {most}{unit.en}", f"至多 {most}{unit.zh}") if most is not None else NOTHING


def _kind(value: object) -> Text:
    """The JSON type of a value, in words."""
    if isinstance(value, float) and not math.isfinite(value):
        return Text("not a finite number", "非有限数值")
    names: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "boolean"), (str, "string"), ((int, float), "number"), ((list, tuple), "array"), (Mapping, "object"),
    )  # fmt: skip
    return _KINDS[next((name for types, name in names if isinstance(value, types)), "null")]


def shown(value: object, most: int = 200) -> str:
    """A value as it may be quoted back: at most `most` characters, for any depth, length or characters."""
    return shorten(_outline(value, most, 4), most)


def _outline(value: object, most: int, depth: int) -> str:
    if isinstance(value, str):
        return value[: most + 1]
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int) and value.bit_length() > 1000:
        return "…"
    if isinstance(value, Mapping | list | tuple) and not depth:
        return "…"
    if isinstance(value, Mapping):
        pairs = list(value.items())[:20]
        return "{" + ", ".join(f"{_outline(str(k), most, 0)}: {_outline(v, most, depth - 1)}" for k, v in pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_outline(item, most, depth - 1) for item in value[:20]) + "]"
    return str(value)
