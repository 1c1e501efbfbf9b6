"""The gateway's own credentials: made at the first start, or from the environment; always asked for."""

import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from mcp_server.errors import ConfigurationError
from mcp_server.gateway_settings import PREFIX
from mcp_server.text import Text, listed

FILE: Final = "gateway.json"
"""In the workspace, readable only by its owner."""

_SHORT: Final = 8
"""Characters that a credential has at least."""

_SOME = Text("The gateway's credentials are incomplete; missing: {missing}.", "网关凭证缺少 {missing}。")
_ALL = Text(
    "Set all FENQUN_GATEWAY_ credentials, or none: then they stand in the file {file} of the workspace.",
    "请设置全部 FENQUN_GATEWAY_ 凭证，或一个都不设：此时凭证保存在工作区的 {file} 文件中。",
)
_WEAK = Text("{name} is shorter than {n} characters.", "{name} 不足 {n} 个字符。")
_LONGER = Text("Choose longer ones.", "请使用更长的凭证。")
_OPEN = Text(
    "Others may read {file}, which holds the gateway's credentials.", "其他用户可以读取保存网关凭证的 {file}。"
)
_CLOSE = Text("Run: chmod 600 {file}", "请运行：chmod 600 {file}")
_BROKEN = Text("{file} does not hold the gateway's credentials.", "{file} 中没有完整的网关凭证。")
_REMOVE = Text("Mend it, or remove it: then new ones are made.", "请修正该文件，或将其删除以重新生成。")


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The credentials. Not shown by accident: there is no repr."""

    token: str
    app_key: str
    app_secret: str
    session: str
    access_key: str
    secret_key: str


_NAMES = tuple(field.name for field in fields(Keys))


def keys_of(environment: Mapping[str, str], workspace: Path) -> Keys:
    """The credentials of the environment, else of the workspace's file, which is made where there is none.

    ConfigurationError: only some are set, one is too short, the file is open to others or unreadable.
    """
    given = {name: environment.get(f"{PREFIX}{name.upper()}", "").strip() for name in _NAMES}
    if any(given.values()):
        return _checked(given)
    path = workspace / FILE
    try:
        return _from_file(path)
    except FileNotFoundError:
        return _made(path)


def _checked(given: Mapping[str, str]) -> Keys:
    missing = [f"{PREFIX}{name.upper()}" for name in _NAMES if not given[name]]
    if missing:
        raise _incomplete(missing)
    for name in _NAMES:
        if len(given[name]) < _SHORT:
            raise ConfigurationError(_WEAK.format(name=f"{PREFIX}{name.upper()}", n=_SHORT), next_step=_LONGER)
    return Keys(**given)


def _incomplete(missing: list[str]) -> ConfigurationError:
    return ConfigurationError(_SOME.format(missing=listed(missing)), next_step=_ALL.format(file=FILE))


def _from_file(path: Path) -> Keys:
    with path.open("rb") as file:
        if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise ConfigurationError(_OPEN.format(file=path), next_step=_CLOSE.format(file=path))
        said = file.read(64 * 1024)
    try:
        found = json.loads(said)
        return Keys(**{name: _text(found[name]) for name in _NAMES})
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigurationError(_BROKEN.format(file=path), next_step=_REMOVE) from None


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) < _SHORT:
        raise ValueError
    return value


def _made(path: Path) -> Keys:
    """New credentials in a new file; of two processes that make one at once, the first wins."""
    keys = Keys(
        token=secrets.token_urlsafe(32),
        app_key=str(10_000_000 + secrets.randbelow(90_000_000)),
        app_secret=secrets.token_hex(16),
        session=secrets.token_hex(28),
        access_key="FQAK" + secrets.token_hex(16),
        secret_key=secrets.token_urlsafe(32),
    )
    text = json.dumps({name: getattr(keys, name) for name in _NAMES}, indent=2) + "\n"
    temp = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temp, "x", encoding="utf-8", opener=_private) as file:
            file.write(text)
        os.link(temp, path)
    except FileExistsError:
        return _from_file(path)
    finally:
        temp.unlink(missing_ok=True)
    return keys


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
