"""The settings of one process: from the command line, else from the environment, else the defaults.

Nothing is guessed: a value that does not fit stops the start and names the variable and its legal values; a
variable that looks like one of ours but is not draws a warning.
"""

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from mcp_server.credentials import KEYRING, SYSTEMS, Credentials, Keyring, read_credentials
from mcp_server.credentials import variables as credential_variables
from mcp_server.errors import ConfigurationError
from mcp_server.qp.problems import shorten
from mcp_server.qp.suggest import nearest
from mcp_server.text import Language, Text, listed

T = TypeVar("T")

Consent = Literal["ask", "token", "never"]

VARIABLES: Mapping[str, Text] = {
    "FENQUN_WORKSPACE": Text("folder of the workspace", "工作区文件夹"),
    "FENQUN_PROJECT": Text("project id", "项目编号"),
    "FENQUN_PIN_PROJECT": Text("1 refuses every other project", "设为 1 时拒绝其他一切项目"),
    "FENQUN_LANGUAGE": Text("language of results: en or zh", "结果的语言：en 或 zh"),
    "FENQUN_READ_ONLY": Text("1 refuses every change", "设为 1 时拒绝一切改动"),
    "FENQUN_ALLOW_DIRS": Text("further folders that files of ids may be read from", "另外允许读取 ID 文件的文件夹"),
    "FENQUN_CONSENT": Text("who agrees to changes: ask, token or never", "改动由谁同意：ask、token 或 never"),
    "FENQUN_CONSENT_PLATFORMS": Text(
        "remote platforms on which token or never hold too", "token 或 never 同样适用的远程平台"
    ),
    "FENQUN_LOG_DAYS": Text("days that the log of acts is kept", "操作日志的保留天数"),
    "FENQUN_CLUSTER_NAME_LIMIT": Text("most characters of a cluster name", "分群名的最大字符数"),
    "FENQUN_DISPLAY_NAME_LIMIT": Text("most characters of a display name", "显示名的最大字符数"),
    "FENQUN_MEMORY_LIMIT": Text("memory that the engine may use, such as 2GB", "引擎可用的内存，例如 2GB"),
    "FENQUN_SQL_MEMORY": Text(
        "memory that one SQL definition may use, such as 4GB", "一条 SQL 定义可用的内存，例如 4GB"
    ),
    "FENQUN_SQL_SECONDS": Text("seconds that one SQL definition may run", "一条 SQL 定义可运行的秒数"),
    "FENQUN_THREADS": Text("threads that the engine may use", "引擎可用的线程数"),
}
"""Every variable that is read, and what it sets."""

MOST_NAME = 80
"""No deployment accepts longer names (qp.md section 6)."""
MOST_THREADS = 1024
MOST_SECONDS = 3600
"""Longer than an hour is no query that somebody waits for."""
LEAST_SQL_MEMORY = 64 * 1024**2
"""With less hardly any statement comes to its end."""
MOST_DAYS = 36_500

_PROJECT = re.compile(r"[1-9][0-9]{0,17}")
_MEMORY = re.compile(r"[0-9]+(?:\.[0-9]+)? ?(?:[KMGT]i?B)", re.IGNORECASE)
_OPTIONS = {
    "FENQUN_WORKSPACE": "--workspace",
    "FENQUN_PROJECT": "--project",
    "FENQUN_CONSENT": "--consent",
    "FENQUN_LANGUAGE": "--language",
    "FENQUN_ALLOW_DIRS": "--allow-dir",
}
_FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_CONSENTS: Mapping[str, Consent] = {"ask": "ask", "token": "token", "never": "never"}
_LANGUAGES: Mapping[str, Language] = {"en": "en", "zh": "zh"}


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says; an empty text says nothing."""

    workspace: str = ""
    project: str = ""
    language: str = ""
    read_only: bool = False
    allow_dirs: tuple[str, ...] = ()
    consent: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings that are known to be legal."""

    workspace: Path
    project_id: str = "1"
    pin_project: bool = False
    """Whether calls that name another project are refused."""
    language: Language = "en"
    read_only: bool = False
    consent: Consent = "ask"
    """`ask` a person; accept the `token` of a dry run; `never` ask. What is not `ask` holds on local platforms, and on these:"""
    consent_platforms: frozenset[str] = frozenset()
    log_days: int = 180
    cluster_name_limit: int = 24
    display_name_limit: int = 50
    memory_limit: str | None = None
    sql_memory: int | None = None
    """Bytes; None and None below: the defaults of docs/sql-clusters.md."""
    sql_seconds: int | None = None
    threads: int | None = None
    """None: what the engine takes by itself."""
    allow_dirs: tuple[Path, ...] = ()
    """Folders, besides the workspace's own for imports, that files of ids may be read from."""
    remote: Mapping[str, Credentials] = field(default_factory=dict)
    """The systems that are not on this machine, by name."""


def read_settings(environment: Mapping[str, str], given: Given = Given()) -> Settings:
    """The settings. Raises ConfigurationError at the first value that does not fit."""

    def variable(name: str, read: Callable[[str, str], T], default: T, argument: str = "") -> T:
        said = argument or environment.get(name, "").strip()
        return read(said, name) if said else default

    return Settings(
        workspace=variable("FENQUN_WORKSPACE", _path, _default_workspace(), given.workspace),
        project_id=variable("FENQUN_PROJECT", _project, "1", given.project),
        pin_project=variable("FENQUN_PIN_PROJECT", _flag, default=False),
        language=variable("FENQUN_LANGUAGE", _language, "en", given.language),
        read_only=given.read_only or variable("FENQUN_READ_ONLY", _flag, default=False),
        consent=variable("FENQUN_CONSENT", _consent, "ask", given.consent),
        consent_platforms=variable("FENQUN_CONSENT_PLATFORMS", _platforms, frozenset()),
        log_days=variable("FENQUN_LOG_DAYS", _whole(MOST_DAYS), 180),
        cluster_name_limit=variable("FENQUN_CLUSTER_NAME_LIMIT", _whole(MOST_NAME), 24),
        display_name_limit=variable("FENQUN_DISPLAY_NAME_LIMIT", _whole(MOST_NAME), 50),
        memory_limit=variable("FENQUN_MEMORY_LIMIT", _memory, None),
        sql_memory=variable("FENQUN_SQL_MEMORY", _sql_memory, None),
        sql_seconds=variable("FENQUN_SQL_SECONDS", _whole(MOST_SECONDS), None),
        threads=variable("FENQUN_THREADS", _whole(MOST_THREADS), None),
        allow_dirs=variable("FENQUN_ALLOW_DIRS", _folders, (), os.pathsep.join(given.allow_dirs)),
        remote=read_credentials(environment, _keyring() if variable(KEYRING, _flag, default=False) else None),
    )


def known_variables() -> Mapping[str, Text]:
    """Every variable of the product but those of HTTP, and what it sets."""
    return {**VARIABLES, **dict(credential_variables())}


def unknown_variables(environment: Mapping[str, str], known: Collection[str] = VARIABLES) -> list[Text]:
    """One warning for each variable that is named like ours and is not among those known."""
    warnings = []
    for name in sorted(environment):
        if name.startswith("FENQUN_") and name not in known:
            close = nearest(name.removeprefix("FENQUN_"), [word.removeprefix("FENQUN_") for word in known])
            hint = Text("; did you mean FENQUN_{close}?", "；是否想用 FENQUN_{close}？") if close else Text(".", "。")
            said = Text("Nothing reads the variable {name}", "没有名为 {name} 的环境变量设置")
            filled = said.format(name=shorten(name)), hint.format(close=close)
            warnings.append(Text(filled[0].en + filled[1].en, filled[0].zh + filled[1].zh))
    return warnings


def language_of(environment: Mapping[str, str], given: str = "") -> Language:
    """The language to speak in before the settings are known to be legal: English where it is not clearly Chinese."""
    return _LANGUAGES.get((given or environment.get("FENQUN_LANGUAGE", "")).strip().casefold(), "en")


class _SystemKeyring:
    """The system's keyring; what goes wrong with it is a matter of the settings."""

    def get_password(self, service_name: str, username: str) -> str | None:
        import keyring
        from keyring.errors import KeyringError

        try:
            return keyring.get_password(service_name, username)
        except KeyringError:
            raise ConfigurationError(_LOCKED, next_step=_NO_KEYRING) from None


_LOCKED = Text("The system's keyring can't be read.", "无法读取系统钥匙串。")
_NO_KEYRING = Text(
    "Unlock it, or unset FENQUN_KEYRING and give the secrets as variables or files.",
    "请解锁，或取消 FENQUN_KEYRING 并改用环境变量或文件提供凭证。",
)


def _keyring() -> Keyring:
    from importlib.util import find_spec

    if find_spec("keyring") is None:
        raise ConfigurationError(
            Text(
                "FENQUN_KEYRING is set, but the package keyring is missing.",
                "设置了 FENQUN_KEYRING，但未安装 keyring 包。",
            ),
            next_step=Text('Install it: pip install "fenqun[keyring]".', '请安装：pip install "fenqun[keyring]"。'),
        )
    return _SystemKeyring()


def _default_workspace() -> Path:
    from platformdirs import user_data_path

    return user_data_path("fenqun", appauthor=False)


def _path(said: str, name: str) -> Path:
    if "\0" in said:
        raise _wrong(name, said, Text("the path of a folder", "文件夹的路径"))
    return Path(said).expanduser().absolute()


_NARROWER = Text(
    "a folder other than the root, the home folder and those above it", "根目录、主目录及其上级以外的文件夹"
)


def _folders(said: str, name: str) -> tuple[Path, ...]:
    """Folders, separated as in PATH: each one exists and holds less than a whole home folder or disk."""
    found = []
    for part in filter(None, (p.strip() for p in said.split(os.pathsep))):
        path = _path(part, name)
        if not path.is_dir():
            raise _wrong(name, part, Text("a folder that exists", "已存在的文件夹"))
        real, home = path.resolve(), Path.home().resolve()
        if home.is_relative_to(real) or real == Path(real.anchor):
            raise _wrong(name, part, _NARROWER)
        found.append(path)
    return tuple(found)


def _project(said: str, name: str) -> str:
    if not _PROJECT.fullmatch(said):
        raise _wrong(name, said, Text("a whole number from 1", "从 1 开始的整数"))
    return said


def _language(said: str, name: str) -> Language:
    if said.casefold() not in _LANGUAGES:
        raise _wrong(name, said, Text("en or zh", "en 或 zh"))
    return _LANGUAGES[said.casefold()]


def _flag(said: str, name: str) -> bool:
    if said.casefold() not in _FLAGS:
        raise _wrong(name, said, Text("1 or 0", "1 或 0"))
    return _FLAGS[said.casefold()]


def _consent(said: str, name: str) -> Consent:
    if said.casefold() not in _CONSENTS:
        raise _wrong(name, said, Text("ask, token or never", "ask、token 或 never"))
    return _CONSENTS[said.casefold()]


def _platforms(said: str, name: str) -> frozenset[str]:
    """Names of remote platforms, each written out: what is added later is not meant by what is said today."""
    found = frozenset(word.strip().casefold() for word in said.split(","))
    if not found <= {system.name for system in SYSTEMS}:
        names = listed(system.name for system in SYSTEMS)
        legal = Text("names of remote platforms, separated by commas: {names}", "以逗号分隔的远程平台名：{names}")
        raise _wrong(name, said, legal.format(names=names))
    return found


def _whole(most: int) -> Callable[[str, str], int]:
    def read(said: str, name: str) -> int:
        if not (said.isascii() and said.isdigit() and len(said) < 10 and 1 <= int(said) <= most):
            raise _wrong(name, said, Text(f"a whole number, 1 to {most}", f"1 至 {most} 的整数"))
        return int(said)

    return read


def _memory(said: str, name: str) -> str:
    if not _MEMORY.fullmatch(said):
        raise _wrong(name, said, Text("a size such as 512MB or 2GB", "大小，例如 512MB 或 2GB"))
    return said


def _sql_memory(said: str, name: str) -> int:
    """A size in bytes; as for the engine, MB is a million and MiB is 2^20."""
    number, unit = re.fullmatch(r"([0-9.]+) ?([A-Z]+)", _memory(said, name).upper()).groups()  # type: ignore[union-attr]  # _memory has looked
    size = int(float(number) * (1024 if "I" in unit else 1000) ** ("KMGT".index(unit[0]) + 1))
    if size < LEAST_SQL_MEMORY:
        raise _wrong(name, said, Text("a size from 64MiB", "不小于 64MiB 的大小"))
    return size


def _wrong(name: str, said: str, legal: Text) -> ConfigurationError:
    option = _OPTIONS.get(name)
    where = f"{option} / {name}" if option else name
    return ConfigurationError(
        Text('{where} is "{said}"; it must be {legal}.', "{where} 的值为“{said}”，应为{legal}。").format(
            where=where, said=shorten(said), legal=legal
        ),
        next_step=Text("Set {name} to {legal}, or leave it out.", "请将 {name} 设为{legal}，或不设置。").format(
            name=name, legal=legal
        ),
    )
