"""The bundle for Claude Desktop (`.mcpb`, server type uv): its manifest, its files, and packing them.

    python -m tools.bundle     writes dist/fenqun-VERSION.mcpb; `make bundle` installs what that needs

The manifest is made from the tools, the prompts and the tables of settings and accounts. Its host starts the server with
uv, which installs the locked dependencies into the bundle's own folder. As tried with the host's own code
(`getMcpConfigForManifest` of @anthropic-ai/mcpb): an optional field needs an empty default, and goes by environment,
where an empty one counts as unset; `${HOME}` in a default arrives as it is, and the settings expand it.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mcp_server import __version__
from mcp_server.credentials import VENDORS
from mcp_server.front.mcp.prompts import LANGUAGE, PROMPTS
from mcp_server.front.mcp.tools import unfolded
from mcp_server.operations.registry import OPERATIONS
from mcp_server.settings import PROCESS
from mcp_server.store.workspace import BUNDLE_MANIFEST
from mcp_server.text import Text
from tools.publishing import KEYWORDS, NAME, OWNER, REPOSITORY, SUMMARY

ROOT: Final = Path(__file__).resolve().parents[1]
PACKER: Final = Path(".mcpb/node_modules/@anthropic-ai/mcpb/dist/cli/cli.js")
UV: Final = Path(".venv/uv/bin/uv")
PYTHONS: Final = ">=3.11 <3.15"
"""With a space: a comma is refused by hosts."""

Field = dict[str, Any]

_ABOUT: Final = """\
Say which users you mean; the assistant looks up your events and properties, writes a definition, has it checked, explained and sized, and saves it as a segment or tag that follows the data. Then export it, analyse the crowd, or plan calls. Everything runs on this machine, over your own data, without an account; ThinkingData, Taobao and Volcengine accounts can be connected.

用一句话说明要找哪些用户：助手查找事件与属性、写出定义，由服务检查、解释并预估人数，再保存为随数据更新的分群或标签，随后可导出、做人群分析或规划外呼。全部在本机运行，使用您自己的数据，无需账号；也可连接数数、淘宝与火山引擎账号。

Removing the extension leaves the workspace folder with your data: delete that folder by hand if you no longer want it. 移除扩展后，工作区文件夹及其中的数据仍会保留；不再需要时请手动删除。"""

_SETTINGS: Final[Mapping[str, tuple[Field, Text]]] = {
    "workspace": (
        {"type": "directory", "title": "Workspace folder · 工作区文件夹", "default": "${HOME}/fenqun"},
        Text(
            "Where data, segments and the log are kept; made when it is missing",
            "保存数据、分群与日志的文件夹，不存在时自动创建",
        ),
    ),
    "language": (
        {"type": "string", "title": "Language · 语言", "default": "en"},
        Text("en or zh: the language of results", "结果的语言：en 或 zh"),
    ),
    "allow_dirs": (
        {"type": "directory", "title": "Folder of your files · 您的文件所在文件夹", "default": ""},
        Text(
            "A folder that files may be read from, besides the workspace's imports",
            "除工作区的 imports 外，另允许读取文件的文件夹",
        ),
    ),
    "read_only": (
        {"type": "boolean", "title": "Read only · 只读", "default": False},
        Text("Refuse every change", "拒绝一切改动"),
    ),
}
"""The settings that a person sees in the form, by their keys in the table."""
_MIRRORS: Final[Mapping[str, tuple[Text, Text]]] = {
    "UV_DEFAULT_INDEX": (
        Text("Package index", "软件包源"),
        Text(
            "Address of a mirror that packages are installed from at the first start; empty: the usual index",
            "首次启动时安装软件包所用镜像的地址；留空则使用默认源",
        ),
    ),
    "UV_PYTHON_INSTALL_MIRROR": (
        Text("Mirror of Python", "Python 镜像"),
        Text(
            "Address of a mirror that Python is installed from where this machine has none; empty: the usual one",
            "本机没有 Python 时下载 Python 所用镜像的地址；留空则使用默认地址",
        ),
    ),
}


def manifest() -> dict[str, Any]:
    """Return the manifest."""
    fields, environment = _form()
    return {
        "manifest_version": "0.4",
        "name": NAME,
        "display_name": "fenqun 分群",
        "version": __version__,
        "description": SUMMARY,
        "long_description": _ABOUT,
        "author": {"name": OWNER, "url": REPOSITORY.rpartition("/")[0]},
        "repository": {"type": "git", "url": REPOSITORY},
        "homepage": REPOSITORY,
        "documentation": f"{REPOSITORY}/blob/main/docs/install.md",
        "support": f"{REPOSITORY}/issues",
        "icon": "icon.png",
        "icons": [{"src": "icon.png", "size": "512x512"}],
        "server": {
            "type": "uv",
            "entry_point": "mcp_server/__main__.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", "--no-dev", "python", "-m", "mcp_server", "serve"],
                "env": environment,
            },
        },
        "tools": [{"name": o.name, "description": first_sentence(o.description)} for o in OPERATIONS],
        "prompts": list(_prompts()),
        "keywords": list(KEYWORDS),
        "license": "MIT",
        "privacy_policies": [f"{REPOSITORY}/blob/main/docs/privacy.md"],
        "compatibility": {"platforms": ["darwin", "win32", "linux"], "runtimes": {"python": PYTHONS}},
        "user_config": fields,
    }


def first_sentence(description: str) -> str:
    """Return the first sentence of a tool's description."""
    return unfolded(description).split("\n")[0].partition(". ")[0].rstrip(".") + "."


def _form() -> tuple[dict[str, Field], dict[str, str]]:
    """The fields that a person fills in, and the variables by which they reach the server."""
    fields: dict[str, Field] = {}
    environment: dict[str, str] = {}

    def add(key: str, variable: str, field: Field, description: Text) -> None:
        fields[key] = {**field, "description": _both(description), "required": False}
        environment[variable] = f"${{user_config.{key}}}"

    for setting in PROCESS:
        if setting.key in _SETTINGS:
            add(setting.key, setting.variable, *_SETTINGS[setting.key])
    for vendor in VENDORS:
        for wanted in vendor.fields:
            if wanted.needed:
                title = Text("{system}: {what}", "{system}：{what}").format(system=vendor.text, what=wanted.text)
                secret = {"sensitive": True} if wanted.secret else {}
                field = {"type": "string", "title": _both(title), "default": "", **secret}
                add(f"{vendor.name}_{wanted.key}", vendor.variable(wanted), field, _LOCAL.format(system=vendor.text))
    for variable, (title, description) in _MIRRORS.items():
        add(variable.casefold(), variable, {"type": "string", "title": _both(title), "default": ""}, description)
    return fields, environment


_LOCAL: Final = Text(
    "Leave all fields of {system} empty to work on this machine", "{system}的各项留空即在本机运行，不连接该平台"
)


def _both(text: Text) -> str:
    return f"{text.en} · {text.zh}"


def _prompts() -> Iterator[dict[str, Any]]:
    """The prompts in English; the server has them in both languages."""
    for prompt in PROMPTS:
        names = [argument.name for argument in prompt.arguments if argument.name != LANGUAGE]
        text = prompt.body.format(**{name: f"${{arguments.{name}}}" for name in names}).en
        yield {"name": prompt.name, "description": _both(prompt.title), "arguments": names, "text": text}


def project(root: Path = ROOT) -> str:
    """Return the bundle's pyproject.toml: our dependencies, bound to the versions that are tested, and nothing to build."""
    own = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (root / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"(?m)^([\w.-]+(?:\[[\w,-]+\])?==[^\s;\\]+(?: ;[^\\\n]+)?)", lock)
    return "\n".join(
        [
            "[project]",
            *(f"{key} = {json.dumps(own[key])}" for key in ("name", "version", "requires-python")),
            f"dependencies = {_lines(own['dependencies'])}",
            "[tool.uv]",
            "package = false",
            f"constraint-dependencies = {_lines(pin.strip() for pin in pins)}",
            "",
        ]
    )


def _lines(texts: Iterator[str] | Sequence[str]) -> str:
    return json.dumps(list(texts), indent=4)


def stage(folder: Path, uv: Path) -> None:
    """Put the bundle's files into an empty folder; uv resolves the lock, from the index that it is set to."""
    for name in ("mcp_server", "tool_schemas"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for name in ("README.md", "LICENSE", "packaging/icon.png"):
        shutil.copy(ROOT / name, folder)
    (folder / BUNDLE_MANIFEST).write_text(
        json.dumps(manifest(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8", newline="\n"
    )
    (folder / "pyproject.toml").write_text(project(), encoding="utf-8", newline="\n")
    (folder / ".mcpbignore").write_text(".venv\n__pycache__\n", encoding="utf-8", newline="\n")
    _run(str(uv), "lock", "--quiet", "--directory", str(folder))


def pack(folder: Path, target: Path, packer: Path) -> None:
    """Validate the manifest and pack the folder, both with the packer of the format's makers."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _run("node", str(packer), "validate", str(folder / BUNDLE_MANIFEST))
    _run("node", str(packer), "pack", str(folder), str(target))


def _run(*command: str) -> None:
    """Run a command; show what it printed only where it fails."""
    own = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8", env=own)  # noqa: S603 - our tools
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def main() -> int:
    """Build the bundle into dist/, and print its size and digest (server.json of a release carries that)."""
    target = ROOT / "dist" / f"{NAME}-{__version__}.mcpb"
    with tempfile.TemporaryDirectory() as temporary:
        stage(Path(temporary), ROOT / UV)
        pack(Path(temporary), target, ROOT / PACKER)
    content = target.read_bytes()
    print(f"{target.relative_to(ROOT)}: {len(content) / 1e6:.2f} MB, sha256 {hashlib.sha256(content).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
