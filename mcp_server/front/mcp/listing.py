"""The tools as they stand in `tool_schemas/`, told to clients without loading what carries them out.

`fenqun schemas --check` and the tests hold the files to the operations they are made of.
"""

import json
from pathlib import Path
from typing import Any, Final

FOLDER: Final = "tool_schemas"
INDEX: Final = "index.json"

_PACKAGE: Final = Path(__file__).resolve().parents[2]


def published() -> list[dict[str, Any]]:
    """The document of each tool (`tools.tool_document`), in the order in which they are shown."""
    folder = _folder()
    index = _read(folder / INDEX)
    return [_read(folder / f"{tool['name']}.json") for tool in index["tools"]]


def _folder() -> Path:
    """Beside the code in an installed copy, at the top of a source checkout."""
    installed = _PACKAGE / FOLDER
    return installed if installed.is_dir() else _PACKAGE.parent / FOLDER


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
