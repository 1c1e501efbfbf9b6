"""Which systems are remote, and with which credentials: from the environment, from files, or from the system's keyring.

A system is local until its credentials are set. Some but not all of them stop the start: falling back to local
without a word would let somebody believe that the real account was used. `FENQUN_<SYSTEM>=local|remote` pins it.

A secret is given by its variable, or by `<VARIABLE>_FILE` with the path of a file that holds it, or, with
`FENQUN_KEYRING=1`, under the service `fenqun` and the variable's name. It is masked wherever it is printed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mcp_server.errors import ConfigurationError
from mcp_server.text import Text, listed, same

SERVICE = "fenqun"
KEYRING = "FENQUN_KEYRING"
MOST_SECRET = 16 * 1024
"""Bytes of a file that holds a secret."""


class Secret:
    """A text that is never shown by accident: its value has to be asked for."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a system needs to know."""

    key: str
    text: Text
    secret: bool = False
    needed: bool = True
    default: str = ""


@dataclass(frozen=True, slots=True)
class System:
    """One of the three systems."""

    name: str
    text: Text
    fields: tuple[Field, ...]

    def variable(self, wanted: Field) -> str:
        """The variable of a field."""
        return f"FENQUN_{self.name.upper()}_{wanted.key.upper()}"

    @property
    def required(self) -> tuple[str, ...]:
        """The variables that an account needs."""
        return tuple(self.variable(wanted) for wanted in self.fields if wanted.needed)

    @property
    def pin(self) -> str:
        """The variable that says local or remote."""
        return f"FENQUN_{self.name.upper()}"


THINKINGDATA = System(
    "thinkingdata",
    Text("ThinkingData", "数数"),
    (
        Field("url", Text("address, such as https://ta.example.com:8992", "地址，例如 https://ta.example.com:8992")),
        Field("token", Text("token of the Open API", "Open API 的 token"), secret=True),
        Field("allow_http", Text("1 allows http to a private address", "设为 1 时允许对内网地址使用 http"), needed=False),
        Field("by_id", Text("1 names clusters by id, for older deployments", "设为 1 时按 ID 指定分群，用于旧版部署"), needed=False),
        Field("unverified_words", Text("warn or refuse words that the vendor does not document", "对厂商未公开说明的词：warn 提醒，refuse 拒绝"), needed=False, default="warn"),
    ),
)  # fmt: skip
TAOBAO = System(
    "taobao",
    Text("Taobao Open Platform", "淘宝开放平台"),
    (
        Field("app_key", Text("app key", "应用的 App Key")),
        Field("app_secret", Text("app secret", "应用的 App Secret"), secret=True),
        Field("session", Text("session of the merchant", "商家授权的 session"), secret=True),
        Field("url", Text("gateway", "网关地址"), needed=False, default="https://gw.api.taobao.com"),
        Field("sign_method", Text("hmac-sha256, hmac or md5", "hmac-sha256、hmac 或 md5"), needed=False, default="hmac-sha256"),
    ),
)  # fmt: skip
VOLCENGINE = System(
    "volcengine",
    Text("Volcengine voice service", "火山引擎语音服务"),
    (
        Field("access_key", Text("access key", "账号的 Access Key")),
        Field("secret_key", Text("secret key", "账号的 Secret Key"), secret=True),
        Field("session_token", Text("session token, of temporary credentials", "临时凭证的 Session Token"), secret=True, needed=False),
        Field("region", Text("region that requests are signed for", "签名所用地域"), needed=False, default="cn-north-1"),
        Field("url", Text("address", "地址"), needed=False, default="https://cloud-vms.volcengineapi.com"),
    ),
)  # fmt: skip
SYSTEMS = (THINKINGDATA, TAOBAO, VOLCENGINE)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a remote system was given: secrets masked, the rest as text; what was not given has its default."""

    system: System
    values: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)

    def __getitem__(self, key: str) -> str:
        """A value that is no secret."""
        return self.values[key]

    def secret(self, key: str) -> str:
        """A secret in the clear, for the moment of signing; "" where an optional one was not given."""
        return self.secrets[key].reveal() if key in self.secrets else ""


class Keyring(Protocol):
    """The system's store of secrets (the package `keyring`)."""

    def get_password(self, service_name: str, username: str) -> str | None: ...


def variables() -> Iterator[tuple[str, Text]]:
    """Every variable that is read here, and what it sets."""
    yield KEYRING, Text("1 looks for secrets in the system's keyring", "设为 1 时从系统钥匙串读取凭证")
    for system in SYSTEMS:
        where = Text("{system}: local or remote", "{system}：local 或 remote").format(system=system.text)
        yield system.pin, where
        for wanted in system.fields:
            said = Text("{system}: {what}", "{system}：{what}").format(system=system.text, what=wanted.text)
            yield system.variable(wanted), said
            if wanted.secret:
                yield (
                    f"{system.variable(wanted)}_FILE",
                    Text("{said}, from a file", "{said}（从文件读取）").format(said=said),
                )


def read_credentials(environment: Mapping[str, str], keyring: Keyring | None = None) -> Mapping[str, Credentials]:
    """The systems that are remote, by name. ConfigurationError at the first one that is neither local nor complete."""
    remote = {}
    for system in SYSTEMS:
        pin = environment.get(system.pin, "").strip().casefold()
        if pin not in ("", "local", "remote"):
            raise ConfigurationError(
                Text("{pin} must be local or remote.", "{pin} 应为 local 或 remote。").format(pin=system.pin),
                next_step=Text("Correct it, or leave it out.", "请改正，或不设置。"),
            )
        found = Credentials(system) if pin == "local" else _given(system, environment, keyring)
        missing = [system.variable(f) for f in system.fields if f.needed and not _has(found, f)]
        started = any(_has(found, f) for f in system.fields if f.needed)
        if missing and (started or pin == "remote"):
            raise _incomplete(system, missing)
        if pin != "local" and not missing:
            remote[system.name] = found
    return remote


def _has(found: Credentials, wanted: Field) -> bool:
    return bool(found.secrets.get(wanted.key) if wanted.secret else found.values.get(wanted.key))


def _given(system: System, environment: Mapping[str, str], keyring: Keyring | None) -> Credentials:
    values: dict[str, str] = {}
    secrets: dict[str, Secret] = {}
    for wanted in system.fields:
        if wanted.secret:
            said = _secret(system.variable(wanted), environment, keyring)
            if said:
                secrets[wanted.key] = Secret(said)
        else:
            values[wanted.key] = environment.get(system.variable(wanted), "").strip() or wanted.default
    return Credentials(system, values, secrets)


def _secret(name: str, environment: Mapping[str, str], keyring: Keyring | None) -> str:
    said, file = environment.get(name, "").strip(), environment.get(f"{name}_FILE", "").strip()
    if said and file:
        raise ConfigurationError(
            Text("{name} and {name}_FILE are both set.", "{name} 与 {name}_FILE 同时设置了。").format(name=name),
            next_step=Text("Keep one of them.", "请只保留其中一个。"),
        )
    if file:
        return _from_file(name, Path(file).expanduser())
    return said or (keyring.get_password(SERVICE, name) or "" if keyring else "")


def _from_file(name: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            said = file.read(MOST_SECRET + 1).decode("utf-8-sig")
    except OSError as error:
        raise _unreadable(name, same(error.strerror or "–")) from None
    except ValueError:
        raise _unreadable(name, Text("it is not text in UTF-8", "不是 UTF-8 文本")) from None
    if len(said) > MOST_SECRET:
        raise _unreadable(name, Text("it is too long", "内容过长"))
    return said.strip()


def _unreadable(name: str, why: Text) -> ConfigurationError:
    return ConfigurationError(
        Text("The file of {name}_FILE can't be read: {why}.", "无法读取 {name}_FILE 指定的文件：{why}。").format(
            name=name, why=why
        ),
        next_step=Text(
            "Name a small text file that holds nothing but the secret.", "请指定一个只含该凭证的小文本文件。"
        ),
    )


def _incomplete(system: System, missing: list[str]) -> ConfigurationError:
    return ConfigurationError(
        Text("{system} is not completely set up; missing: {missing}.", "{system}的设置不完整，缺少 {missing}。").format(
            system=system.text, missing=listed(missing)
        ),
        next_step=Text(
            "Set what is missing, or {pin}=local to work on this machine.",
            "请补全缺少的变量，或设 {pin}=local 以在本机运行。",
        ).format(pin=system.pin),
    )
