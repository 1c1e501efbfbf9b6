"""`fenqun install` and `fenqun uninstall`: the entry of this server in the configuration of each client.

A file of a client is read, merged, backed up and replaced in one step; everything else in it stays. A file that is no plain
JSON (comments, trailing commas) is left alone, and the entry is printed. No secrets are written: they belong in the environment,
in files or in the keyring. Where each client keeps its file: its own documentation, as listed in docs/install.md.
"""

import json
import os
import re
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from mcp_server.credentials import VENDORS
from mcp_server.errors import ConfigurationError, InvalidArguments
from mcp_server.settings import Settings, in_cache, program
from mcp_server.terminal import YES, at_terminal
from mcp_server.text import NOTHING, Text, listed, same

NAME: Final = "fenqun"

Form = Literal["json", "toml", "print"]
"""How the file is written; `print` where the client documents no file."""
Entry = Mapping[str, Any]

_NOT_PLAIN = Text(
    "{path} is not changed: it is not plain {form} ({why}). Add this entry by hand:\n{entry}",
    "未修改 {path}：它不是普通的 {form}（{why}）。请手动添加以下条目：\n{entry}",
)
_WRITTEN = Text("{client}: written to {path}.", "{client}：已写入 {path}。")
_UNCHANGED = Text("{client}: {path} has it already.", "{client}：{path} 中已有该条目。")
_REMOVED = Text("{client}: removed from {path}.", "{client}：已从 {path} 移除。")
_NOT_THERE = Text("{client}: no entry in {path}.", "{client}：{path} 中没有该条目。")
_BACKUP = Text(" The old file is kept as {name}.", "原文件保留为 {name}。")
_RESTART = Text(
    "Quit {client} and start it again, then ask it for its tools.", "请完全退出并重新启动 {client}，再查看其工具列表。"
)
_ADD_THERE = Text(
    "{client} has its servers in its own settings, not in a documented file. There, add a server from this JSON:\n{entry}",
    "{client} 的服务器在其设置界面中管理，没有公开的配置文件。请在其中用以下 JSON 添加服务器：\n{entry}",
)
_UNKNOWN = Text("There is no client {name}; known are {names}.", "没有名为 {name} 的客户端；可用的有 {names}。")
_HAS_NONE = Text("not configured", "未配置")
_WORKS = Text("configured", "已配置")
_BROKEN = Text("configured, but {command} is not there any more", "已配置，但 {command} 已不存在")
_IN_CACHE = Text(
    "This fenqun runs from uv's cache, which may be cleared; a client could no longer start it then.",
    "当前的 fenqun 运行在 uv 的缓存目录中，缓存清理后客户端将无法启动它。",
)
_INSTALL_FIRST = Text(
    "Install it first: uv tool install fenqun, or pipx install fenqun; then run fenqun install again.",
    "请先安装：uv tool install fenqun 或 pipx install fenqun，再运行 fenqun install。",
)


@dataclass(frozen=True, slots=True)
class ClientFile:
    """A client, and how it is configured."""

    name: str
    title: str
    form: Form = "json"
    key: str = "mcpServers"
    """The object (of TOML the table) that holds the servers."""
    typed: bool = False
    """Whether an entry says `"type": "stdio"`."""


CLIENTS: Final = (
    ClientFile("claude", "Claude Desktop"),
    ClientFile("claude-code", "Claude Code", typed=True),
    ClientFile("cursor", "Cursor"),
    ClientFile("vscode", "VS Code", key="servers", typed=True),
    ClientFile("windsurf", "Windsurf"),
    ClientFile("codex", "Codex", form="toml", key="mcp_servers"),
    ClientFile("gemini", "Gemini CLI"),
    ClientFile("qwen-code", "Qwen Code"),
    ClientFile("cherry-studio", "Cherry Studio", form="print"),
    ClientFile("trae", "Trae", form="print"),
)
BY_NAME: Final = {client.name: client for client in CLIENTS}


@dataclass(frozen=True, slots=True)
class Machine:
    """Where files of people are on a machine; tests make one for each system."""

    home: Path
    environment: Mapping[str, str]
    system: str
    """`darwin`, `win32` or another (as Linux)."""

    @classmethod
    def this(cls) -> "Machine":
        return cls(Path.home(), os.environ, sys.platform)

    def files(self, client: ClientFile) -> list[Path]:
        """Every file that the client may read on this system."""
        home, settings = self.home, self._settings()
        match client.name:
            case "claude":
                packages = self._local().glob("Packages/Claude_*/LocalCache/Roaming") if self.system == "win32" else ()
                return [folder / "Claude" / "claude_desktop_config.json" for folder in (settings, *sorted(packages))]
            case "claude-code":
                return [Path(self.environment.get("CLAUDE_CONFIG_DIR") or home) / ".claude.json"]
            case "cursor":
                return [home / ".cursor" / "mcp.json"]
            case "vscode":
                return [settings / "Code" / "User" / "mcp.json"]
            case "windsurf":
                return [home / ".codeium" / "windsurf" / "mcp_config.json"]
            case "codex":
                return [Path(self.environment.get("CODEX_HOME") or home / ".codex") / "config.toml"]
            case "gemini":
                return [home / ".gemini" / "settings.json"]
            case "qwen-code":
                return [home / ".qwen" / "settings.json"]
            case _:
                return []

    def _settings(self) -> Path:
        if self.system == "darwin":
            return self.home / "Library" / "Application Support"
        if self.system == "win32":
            return Path(self.environment.get("APPDATA") or self.home / "AppData" / "Roaming")
        return Path(self.environment.get("XDG_CONFIG_HOME") or self.home / ".config")

    def _local(self) -> Path:
        return Path(self.environment.get("LOCALAPPDATA") or self.home / "AppData" / "Local")


def entry_for(settings: Settings) -> Entry:
    """Return the entry of a server over these settings. ConfigurationError from a cache that may be cleared."""
    command, *arguments = program()
    if in_cache(command):
        raise ConfigurationError(_IN_CACHE, next_step=_INSTALL_FIRST)
    arguments += ["serve", "--workspace", str(settings.workspace)]
    arguments += ["--project", settings.project_id] if settings.project_id != "1" else []
    arguments += ["--language", "zh"] if settings.language == "zh" else []
    return {"command": command, "args": arguments, "env": {}}


def run(name: str, action: Literal["write", "print", "remove"], settings: Settings, machine: Machine) -> Iterator[Text]:
    """Carry out `fenqun install`; without a name, list the clients. InvalidArguments for one that is not known."""
    if not name:
        yield from listing(machine)
        return
    client = BY_NAME.get(name)
    if client is None:
        raise InvalidArguments(_UNKNOWN.format(name=name, names=listed(BY_NAME)))
    match action:
        case "remove":
            yield from remove(client, machine)
        case "print":
            yield same(shown(client, entry_for(settings)))
        case "write":
            yield from install(client, entry_for(settings), machine)


def listing(machine: Machine) -> Iterator[Text]:
    """Yield a line for each client: its name, and whether it has the entry and the program is still there."""
    entries = {entry.client.name: entry for entry in installed(machine)}
    for client in CLIENTS:
        entry = entries.get(client.name)
        state = _HAS_NONE if entry is None else _WORKS if entry.works else _BROKEN.format(command=entry.command)
        yield Text(f"{client.name:<14} {client.title}: {state.en}", f"{client.name:<14} {client.title}：{state.zh}")


def install(client: ClientFile, entry: Entry, machine: Machine) -> Iterator[Text]:
    """Write the entry into each file of a client; yield what was done."""
    if client.form == "print":
        yield _ADD_THERE.format(client=client.title, entry=shown(client, entry))
        return
    for path in machine.files(client):
        yield _changed(client, path, entry)
    yield _RESTART.format(client=client.title)


def remove(client: ClientFile, machine: Machine) -> Iterator[Text]:
    """Remove the entry from each file of a client; yield what was done."""
    for path in machine.files(client):
        yield _changed(client, path, None)


def shown(client: ClientFile, entry: Entry) -> str:
    """Return the entry as it is in the client's file."""
    if client.form == "toml":
        return _toml(client.key, entry)
    return json.dumps({client.key: {NAME: _typed(client, entry)}}, ensure_ascii=False, indent=2)


@dataclass(frozen=True, slots=True)
class ClientEntry:
    """An entry in a client's file."""

    client: ClientFile
    path: Path
    command: str

    @property
    def works(self) -> bool:
        """Whether the program is still there."""
        return Path(self.command).is_file() or shutil.which(self.command) is not None


def installed(machine: Machine) -> Iterator[ClientEntry]:
    """Yield the entries of this server in the files of all clients."""
    for client in CLIENTS:
        for path in machine.files(client):
            try:
                servers = _parsed(client, _read(path)).get(client.key, {})
                command = servers[NAME]["command"]
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue
            yield ClientEntry(client, path, str(command))


def _changed(client: ClientFile, path: Path, entry: Entry | None) -> Text:
    text = _read(path) if path.exists() else ""
    try:
        new = _merged(client, text, entry)
    except (ValueError, TypeError) as error:
        if entry is None:
            return _NOT_THERE.format(client=client.title, path=path)
        why = str(error).splitlines()[0]
        return _NOT_PLAIN.format(path=path, form=client.form.upper(), why=why, entry=shown(client, entry))
    if new == text:
        return (_NOT_THERE if entry is None else _UNCHANGED).format(client=client.title, path=path)
    backup = _replace(path, new)
    message = (_REMOVED if entry is None else _WRITTEN).format(client=client.title, path=path)
    kept = _BACKUP.format(name=backup) if backup else NOTHING
    return Text(message.en + kept.en, message.zh + kept.zh)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig")


def _parsed(client: ClientFile, text: str) -> dict[str, Any]:
    """The file as an object. ValueError or TypeError where it is none."""
    if client.form == "toml":
        return tomllib.loads(text)
    data = json.loads(text) if text.strip() else {}
    if not isinstance(data, dict) or not isinstance(data.get(client.key, {}), dict):
        raise TypeError("not an object of servers")
    return data


def _merged(client: ClientFile, text: str, entry: Entry | None) -> str:
    """The file with the entry, or without one. ValueError or TypeError where the file can't be read."""
    data = _parsed(client, text)
    if client.form == "toml":
        return _merged_toml(client.key, text, entry)
    servers = data.get(client.key, {})
    if entry is None:
        if NAME not in servers:
            return text
        del servers[NAME]
    else:
        wanted = _typed(client, entry)
        if {key: servers.get(NAME, {}).get(key) for key in wanted} == wanted:
            return text
        kept = {key: value for key, value in servers.get(NAME, {}).items() if key not in wanted}
        data.setdefault(client.key, {})[NAME] = kept | wanted
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"


def _typed(client: ClientFile, entry: Entry) -> dict[str, Any]:
    return ({"type": "stdio"} if client.typed else {}) | dict(entry)


def _merged_toml(key: str, text: str, entry: Entry | None) -> str:
    """The text with our own tables replaced: the standard library reads TOML only, and comments stay."""
    own = re.compile(rf'\s*\[\s*{key}\s*\.\s*"?{NAME}"?\s*(\.[^\]]*)?\]')
    kept, keep = [], True
    for line in text.splitlines():
        if re.match(r"\s*\[", line):
            keep = not own.match(line)
        if keep:
            kept.append(line)
    rest = "\n".join(kept).rstrip()
    parts = [part for part in (rest, _toml(key, entry) if entry is not None else "") if part]
    new = "\n\n".join(parts) + "\n" if parts else ""
    tomllib.loads(new)
    return text if tomllib.loads(new) == tomllib.loads(text) else new


def _toml(key: str, entry: Entry) -> str:
    """An entry as tables; a JSON text or list of texts is legal TOML."""
    value = {name: json.dumps(part, ensure_ascii=False) for name, part in entry.items() if name != "env"}
    lines = [f"[{key}.{NAME}]", *(f"{name} = {part}" for name, part in value.items()), "startup_timeout_sec = 60"]
    environment = [f"{name} = {json.dumps(part, ensure_ascii=False)}" for name, part in entry.get("env", {}).items()]
    return "\n".join([*lines, *([f"[{key}.{NAME}.env]", *environment] if environment else [])])


def _replace(path: Path, new: str) -> str:
    """Replace a file in one step; return the name of its backup, "" where there was none."""
    path = path.resolve()  # a link into a folder of dotfiles stays a link
    path.parent.mkdir(parents=True, exist_ok=True)
    backup = ""
    if path.exists():
        backup = f"{path.name}.{time.strftime('%Y%m%dT%H%M%S')}.bak"
        shutil.copy2(path, path.with_name(backup))
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
        file.write(new)
    if path.exists():
        shutil.copymode(path, temporary)
    Path(temporary).replace(path)
    return backup


# What is on this machine, and removing it.

_PART = Text("{name}: {path} ({size})", "{name}：{path}（{size}）")
_WORKSPACE = Text("Workspace: data, clusters, log", "工作区：数据、分群、日志")
_EXPORTS = Text("Exported files", "导出的文件")
_ENTRY = Text("Entry of {client}", "{client} 中的条目")
_SECRETS = Text("Secrets in the keyring", "钥匙串中的凭证")
_GONE = Text("Removed: {name}.", "已移除：{name}。")
_HOW = Text(
    "Nothing was removed. Choose with --clients, --exports, --workspace-data or --keyring; --yes answers the question.",
    "未移除任何内容。请用 --clients、--exports、--workspace-data 或 --keyring 选择；--yes 表示直接确认。",
)
_NOTHING_HERE = Text("Nothing of fenqun is on this machine.", "本机没有 fenqun 的任何内容。")
_ASK = Text("Remove for good: {names}? Type yes: ", "是否永久移除：{names}？请输入 yes：")
_NOT_REMOVED = Text("Nothing was removed. (Without a terminal: --yes)", "未移除任何内容。（无终端时请用 --yes）")
TraceKind = Literal["clients", "exports", "workspace_data", "keyring"]


@dataclass(frozen=True, slots=True)
class Trace:
    """Something of fenqun on this machine."""

    kind: TraceKind
    name: Text
    place: str
    size: int
    """Bytes; 0 where it has none."""
    client: ClientFile | None = None

    @property
    def line(self) -> Text:
        return (
            _PART.format(name=self.name, path=self.place, size=_size(self.size))
            if self.size
            else Text(f"{self.name.en}: {self.place}", f"{self.name.zh}：{self.place}")
        )


def traces(settings: Settings, machine: Machine, keyring: Sequence[str] = ()) -> list[Trace]:
    """Return what fenqun has left on this machine: client entries, exports, the workspace, secrets."""
    found = [
        Trace("clients", _ENTRY.format(client=entry.client.title), str(entry.path), 0, entry.client)
        for entry in installed(machine)
    ]
    workspace = settings.workspace
    if (workspace / "catalog.sqlite").is_file():  # any other folder is not ours
        exports = workspace / "exports"
        if exports.is_dir() and any(exports.iterdir()):
            found.append(Trace("exports", _EXPORTS, str(exports), _bytes_in(exports)))
        found.append(Trace("workspace_data", _WORKSPACE, str(workspace), _bytes_in(workspace)))
    return [*found, *(Trace("keyring", _SECRETS, name, 0) for name in keyring)]


def uninstall(settings: Settings, machine: Machine, chosen: Mapping[str, Any]) -> Iterator[Text]:
    """List what is there; remove the chosen kinds (`clients`, `exports`, `workspace_data`, `keyring`) after a yes."""
    found = traces(settings, machine, _secrets_kept())
    for trace in found:
        yield trace.line
    wanted = [trace for trace in found if chosen.get(trace.kind)]
    if not wanted:
        yield _HOW if found else _NOTHING_HERE
        return
    if not chosen.get("yes") and not _agreed(listed(trace.name for trace in wanted), settings):
        yield _NOT_REMOVED
        return
    for trace in wanted:
        yield remove_trace(trace, machine)


def _agreed(names: Text, settings: Settings) -> bool:
    """Ask on the terminal; without one nobody agrees."""
    if not at_terminal():
        return False
    sys.stderr.write(_ASK.format(names=names).say(settings.language))
    sys.stderr.flush()
    return sys.stdin.readline().strip().casefold() in YES


def _secrets_kept() -> list[str]:
    """The variables whose secrets are in the keyring; empty where the package is not installed."""
    if find_spec("keyring") is None:
        return []
    import keyring
    from keyring.errors import KeyringError

    try:
        secrets = [vendor.variable(field) for vendor in VENDORS for field in vendor.fields if field.secret]
        return [name for name in secrets if keyring.get_password(NAME, name)]
    except KeyringError:
        return []


def remove_trace(trace: Trace, machine: Machine) -> Text:
    """Remove one of them, and return that."""
    match trace.kind:
        case "clients":
            assert trace.client is not None  # noqa: S101 - made with one
            return next(remove(trace.client, machine))
        case "exports" | "workspace_data":
            shutil.rmtree(trace.place)
        case "keyring":
            import keyring

            keyring.delete_password(NAME, trace.place)
    return _GONE.format(name=trace.name)


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _size(size: int) -> Text:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return same(f"{size} {unit}")
        size //= 1000
    return same(f"{size} GB")
