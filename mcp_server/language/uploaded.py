"""A definition that is an uploaded list of ids (qp.md section 7): not the ids, but what they were and how many matched."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mcp_server.language.explain import ExplainedPart, Explanation
from mcp_server.language.model import TAG, digest
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
    "{what}: {rows} row(s), {unmatched} of them matched nobody. The list stays as it was uploaded and is not computed again.",
    "{what}：共 {rows} 行，其中 {unmatched} 行未匹配到用户。名单以上传时为准，不会重新计算。",
)
_UNCOUNTED = Text(
    "{what}. The list stays as it was uploaded and is not computed again.", "{what}。名单以上传时为准，不会重新计算。"
)
_SELECTED = Text("users whose {column} is in {list}", "{column} 在{list}中的用户")
_GIVEN = Text("each user's value is beside the {column} in {list}", "标签值取自{list}中与用户 {column} 同行的值")
_LIST = Text("an uploaded list", "上传名单")
_FILE = Text("the uploaded file {name}", "上传文件 {name} ")
_OTHER_COLUMN = Text("the ids are values of {new}, no longer of {old}", "ID 由 {old} 的取值改为 {new} 的取值")
_OTHER_IDS = Text("another list of ids ({old} row(s) before, {new} now)", "更换了名单（原 {old} 行，现 {new} 行）")


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An uploaded list of ids, of a tag with values."""

    noun: ClassVar[Text] = Text("an uploaded list", "上传的 ID 名单")
    types_end: ClassVar[tuple[str, ...]] = ("_import",)
    body_key: ClassVar[str] = ""
    catalog: str
    main_column: str
    """The user property that the ids are values of."""
    content_hash: str
    upload_num: int
    unmatched_num: int
    tag_value_null_num: int = 0
    file_name: str = ""
    """Empty where the ids were in the call."""

    def wire(self) -> dict[str, Any]:
        """Return what is shown, by the vendor's names; without counts where a platform does not report them."""
        counts = () if self.upload_num else ("upload_num", "unmatched_num", "tag_value_null_num")
        shown = {key: getattr(self, name) for name, key in _KEYS.items() if name not in counts}
        return {key: value for key, value in shown.items() if value != ""}

    def stored(self) -> dict[str, Any]:
        return self.wire() | {HASH: self.content_hash}

    @classmethod
    def restored(cls, stored: Mapping[str, Any], catalog: str) -> "Uploaded":
        """Make a definition from what `stored` returned."""
        fields = {name: stored[key] for name, key in _KEYS.items() if key in stored}
        return cls(catalog, content_hash=stored[HASH], **fields)


def upload_hash(definition: Uploaded) -> str:
    """The same ids as values of the same property mean the same."""
    return digest([definition.main_column.casefold(), definition.content_hash])


def explain_upload(definition: Uploaded) -> Explanation:
    """Explain what the ids are, and that the list stays as it is."""
    source = _FILE.format(name=_name(definition.file_name)) if definition.file_name else _LIST
    form = _GIVEN if definition.catalog == TAG else _SELECTED
    what = form.format(column=_name(definition.main_column), list=source)
    summary = (_SUMMARY if definition.upload_num else _UNCOUNTED).format(
        what=what, rows=f"{definition.upload_num:,}", unmatched=f"{definition.unmatched_num:,}"
    )
    return Explanation(Text(summary.en[0].upper() + summary.en[1:], summary.zh), (ExplainedPart("", what),))


def compare_uploads(old: Uploaded, new: Uploaded) -> tuple[Text, ...]:
    """What changes from one list to another; nothing where both are the same."""
    changes = []
    if old.main_column.casefold() != new.main_column.casefold():
        changes.append(_OTHER_COLUMN.format(old=_name(old.main_column), new=_name(new.main_column)))
    if old.content_hash != new.content_hash:
        changes.append(_OTHER_IDS.format(old=f"{old.upload_num:,}", new=f"{new.upload_num:,}"))
    return tuple(changes)


def _name(name: str) -> str:
    return f"`{visible(name, '`')}`"
