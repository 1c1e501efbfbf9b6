"""A definition that is an uploaded list of ids (qp.md section 7): not the ids themselves, but what they were and whom they met."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp_server.language.explain import ExplainedPart, Explanation
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import TAG
from mcp_server.language.wording import visible
from mcp_server.text import Text

_KEYS = {
    "main_column": "mainColumnName",
    "upload_num": "uploadNum",
    "unmatched_num": "unmatchedNum",
    "tag_value_null_num": "tagValueNullNum",
    "file_name": "uploadFileName",
}
"""Our names and the vendor's (te-api.md section 1)."""
HASH = "contentHash"
MAIN_TYPES = ("string", "number")
"""Types of user properties that ids can be values of."""

_SUMMARY = Text(
    "{said}: {rows} row(s), {unmatched} of them matched nobody. The list stays as it was uploaded and is not computed again.",
    "{said}：共 {rows} 行，其中 {unmatched} 行未匹配到用户。名单以上传时为准，不会重新计算。",
)
_UNCOUNTED = Text(
    "{said}. The list stays as it was uploaded and is not computed again.",
    "{said}。名单以上传时为准，不会重新计算。",
)
_SELECTED = Text("users whose {column} is in {list}", "{column} 在{list}中的用户")
_GIVEN = Text("each user's value stands beside the {column} in {list}", "标签值取自{list}中与用户 {column} 同行的值")
_LIST = Text("an uploaded list", "上传名单")
_FILE = Text("the uploaded file {name}", "上传文件 {name} ")
_OTHER_COLUMN = Text("the ids are values of {new}, no longer of {old}", "ID 由 {old} 的取值改为 {new} 的取值")
_OTHER_IDS = Text("another list of ids ({old} row(s) before, {new} now)", "更换了名单（原 {old} 行，现 {new} 行）")


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An uploaded list of ids, of a tag with values."""

    catalog: str
    main_column: str
    """The user property that the ids are values of."""
    content_hash: str
    upload_num: int
    unmatched_num: int
    tag_value_null_num: int = 0
    file_name: str = ""
    """Empty where the ids stood in the call."""

    def wire(self) -> dict[str, Any]:
        """What is shown, by the vendor's names."""
        counts = (
            () if self.upload_num else ("upload_num", "unmatched_num", "tag_value_null_num")
        )  # a platform may not tell
        found = {key: getattr(self, name) for name, key in _KEYS.items() if name not in counts}
        return {key: value for key, value in found.items() if value != ""}

    def kept(self) -> dict[str, Any]:
        return self.wire() | {HASH: self.content_hash}


def is_uploaded(kept: object) -> bool:
    """Whether what the catalogue keeps is such a list. Nobody sends one: `import_ids` makes them."""
    return isinstance(kept, Mapping) and HASH in kept


def restored_upload(kept: Mapping[str, Any], catalog: str) -> Uploaded:
    """A definition from what `Uploaded.kept` gave."""
    found = {name: kept[key] for name, key in _KEYS.items() if key in kept}
    return Uploaded(catalog, content_hash=kept[HASH], **found)


def upload_hash(definition: Uploaded) -> str:
    """The same ids as values of the same property mean the same."""
    meaning = f"{definition.main_column.casefold()}\0{definition.content_hash}"
    return hashlib.sha256(meaning.encode()).hexdigest()[:32]


def explain_upload(definition: Uploaded, _: Metadata) -> Explanation:
    """Say what the ids are, and that the list stays as it is."""
    name = definition.file_name
    source = _FILE.format(name=_name(name)) if name else _LIST
    said = (_GIVEN if definition.catalog == TAG else _SELECTED).format(
        column=_name(definition.main_column), list=source
    )
    summary_text = _SUMMARY if definition.upload_num else _UNCOUNTED
    whole = summary_text.format(said=said, rows=f"{definition.upload_num:,}", unmatched=f"{definition.unmatched_num:,}")
    summary = Text(whole.en[0].upper() + whole.en[1:], whole.zh)
    return Explanation(summary, (ExplainedPart("", said),))


def compare_uploads(old: Uploaded, new: Uploaded, _: Metadata) -> tuple[Text, ...]:
    """What changes from one list to another; nothing where both are the same."""
    changes = []
    if old.main_column.casefold() != new.main_column.casefold():
        changes.append(_OTHER_COLUMN.format(old=_name(old.main_column), new=_name(new.main_column)))
    if old.content_hash != new.content_hash:
        changes.append(_OTHER_IDS.format(old=f"{old.upload_num:,}", new=f"{new.upload_num:,}"))
    return tuple(changes)


def _name(name: str) -> str:
    return f"`{visible(name, '`')}`"
