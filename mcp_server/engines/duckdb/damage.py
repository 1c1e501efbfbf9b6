"""Whether a file of the workspace is whole, as far as its first and last bytes show; the engine finds the rest."""

import logging
import re
from pathlib import Path
from typing import Final

from mcp_server.errors import FileDamaged
from mcp_server.text import Text

_PARQUET: Final = b"PAR1"
_DUCKDB: Final = b"DUCK"
_HEADER: Final = 4096
"""Bytes of each of the three headers of a DuckDB file: the mark is in the first, the number of blocks in the others."""
_SHOWS_DAMAGE: Final = re.compile(
    r"corrupt|checksum|magic bytes|too small to be a Parquet|No files found|not a valid DuckDB|Could not read|"
    r"read from file|Cannot open file|Invalid thrift|TProtocol|has been invalidated|INTERNAL Error",
    re.IGNORECASE,
)
_PATH: Final = re.compile(r"['\"][^'\"]*?(?P<name>(?:data|members)[/\\][^'\"/\\]+)['\"]")

_log = logging.getLogger("fenqun")

_DAMAGED = Text("A file of the workspace is damaged: {path} ({why}).", "工作区中的文件已损坏：{path}（{why}）。")
_RESTORE = Text(
    "Restore the file from a backup. Without one: load the data again (fenqun load) where it is in data/, and call "
    "refresh_cluster where it is in members/. The other files are not touched.",
    "请从备份恢复该文件。没有备份时：文件在 data/ 下则重新加载数据（fenqun load），在 members/ 下则调用 refresh_cluster 重新计算。其他文件不受影响。",
)
_MISSING = Text("it is missing", "文件缺失")
_EMPTY = Text("it is empty", "文件为空")
_OVERWRITTEN = Text("its beginning is not that of such a file", "文件开头内容不符")
_UNREADABLE = Text("the engine cannot read it; the log has its message", "引擎无法读取，详情见日志")
_TORN = Text("its end is missing", "文件末尾缺失")


def check_whole(path: Path) -> None:
    """Raise FileDamaged where a data file or a file of members is missing, empty, overwritten or cut off."""
    why = _damage(path)
    if why is not None:
        name = "/".join(path.parts[-2:])
        raise FileDamaged(_DAMAGED.format(path=name, why=why), next_step=_RESTORE)


def damage_in(message: str) -> FileDamaged | None:
    """Return the error for a message of the engine about a file that it cannot read; None for any other message."""
    if not _SHOWS_DAMAGE.search(message):
        return None
    _log.error("the engine cannot read a file of the workspace: %s", message)
    path = _PATH.search(message)
    name = path["name"] if path else "data/"
    return FileDamaged(_DAMAGED.format(path=name, why=_UNREADABLE), next_step=_RESTORE)


def _damage(path: Path) -> Text | None:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(3 * _HEADER)
            file.seek(max(0, size - len(_PARQUET)))
            end = file.read()
    except FileNotFoundError:
        return _MISSING
    except OSError as error:
        return Text(str(error.strerror), str(error.strerror))
    if not size:
        return _EMPTY
    if path.suffix == ".parquet":
        return _OVERWRITTEN if not start.startswith(_PARQUET) else _TORN if end != _PARQUET else None
    if start[8:12] != _DUCKDB:
        return _OVERWRITTEN
    return _TORN if size < _size_of(start) else None


def _size_of(start: bytes) -> int:
    """Return the size that the newer of the two headers gives: three headers, then so many blocks."""

    def number(header: int, field: int) -> int:
        begins = header * _HEADER + 8 * field
        return int.from_bytes(start[begins : begins + 8], "little")

    newer = 1 if number(1, 1) > number(2, 1) else 2  # field 1 counts the checkpoints; 4 the blocks, 5 their size
    return 3 * _HEADER + number(newer, 4) * number(newer, 5)
