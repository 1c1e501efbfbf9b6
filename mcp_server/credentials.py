"""Which vendors' platforms are used, and with which credentials: from the environment, files, or the system's keyring.

There are three systems: segments, crowd analysis tasks, call tasks. Each is on this machine until the credentials of a
vendor that serves it are set. Some but not all of them stop the start: falling back to local without a word would let
somebody believe that the real account was used. `FENQUN_<VENDOR>=local|remote` pins it.

A secret is given by its variable, or by `<VARIABLE>_FILE` with the path of a file that holds it, or, with
`FENQUN_KEYRING=1`, under the service `fenqun` and the variable's name. It is masked wherever it is printed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from mcp_server.errors import ConfigurationError
from mcp_server.text import NOTHING, Text, listed, same

SERVICE = "fenqun"
KEYRING = "FENQUN_KEYRING"
MOST_SECRET = 16 * 1024
"""Bytes of a file that holds a secret."""

System = Literal["segments", "crowds", "calls"]


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
    """One thing that a client of a vendor has to know."""

    key: str
    text: Text
    secret: bool = False
    needed: bool = True
    default: str = ""


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor whose platform serves one of the systems."""

    name: str
    system: System
    text: Text
    fields: tuple[Field, ...]
    service: Text = NOTHING
    """What the credentials are for, where that has another name."""
    most_skew: int | None = None
    """Seconds that a clock may be off before the platform refuses every call (vendors.md A2, B2)."""

    def variable(self, each: Field) -> str:
        """The variable of a field."""
        return f"FENQUN_{self.name.upper()}_{each.key.upper()}"

    @property
    def required(self) -> tuple[str, ...]:
        """The variables that an account needs."""
        return tuple(self.variable(each) for each in self.fields if each.needed)

    @property
    def pin(self) -> str:
        """The variable that says local or remote."""
        return f"FENQUN_{self.name.upper()}"


THINKINGDATA = Vendor(
    "thinkingdata",
    "segments",
    Text("ThinkingData", "数数"),
    (
        Field("url", Text("address, such as https://ta.example.com:8992", "地址，例如 https://ta.example.com:8992")),
        Field("token", Text("token of the Open API", "Open API 的 token"), secret=True),
        Field("allow_http", Text("1 allows http to a private address", "设为 1 时允许对内网地址使用 http"), needed=False),
        Field("by_id", Text("1 names clusters by id, for older deployments", "设为 1 时按 ID 指定分群，用于旧版部署"), needed=False),
        Field("unverified_words", Text("warn or refuse words that the vendor does not document", "对厂商未公开说明的词：warn 提醒，refuse 拒绝"), needed=False, default="warn"),
    ),
)  # fmt: skip
TAOBAO = Vendor(
    "taobao",
    "crowds",
    Text("Taobao Open Platform", "淘宝开放平台"),
    (
        Field("app_key", Text("app key", "应用的 App Key")),
        Field("app_secret", Text("app secret", "应用的 App Secret"), secret=True),
        Field("session", Text("session of the merchant", "商家授权的 session"), secret=True),
        Field("url", Text("gateway", "网关地址"), needed=False, default="https://gw.api.taobao.com"),
        Field("sign_method", Text("hmac-sha256, hmac or md5", "hmac-sha256、hmac 或 md5"), needed=False, default="hmac-sha256"),
    ),
    most_skew=600,
)  # fmt: skip
VOLCENGINE = Vendor(
    "volcengine",
    "calls",
    Text("Volcengine", "火山引擎"),
    (
        Field("access_key", Text("access key", "账号的 Access Key")),
        Field("secret_key", Text("secret key", "账号的 Secret Key"), secret=True),
        Field("session_token", Text("session token, of temporary credentials", "临时凭证的 Session Token"), secret=True, needed=False),
        Field("region", Text("region that requests are signed for", "签名所用地域"), needed=False, default="cn-north-1"),
        Field("url", Text("address", "地址"), needed=False, default="https://cloud-vms.volcengineapi.com"),
    ),
    Text("Volcengine voice service", "火山引擎语音服务"),
    most_skew=900,
)  # fmt: skip
VENDORS = (THINKINGDATA, TAOBAO, VOLCENGINE)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The settings of a vendor's platform: secrets masked, the rest as text; what was not given has its default."""

    vendor: Vendor
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
    for vendor in VENDORS:
        service = _service(vendor)
        yield vendor.pin, Text("{service}: local or remote", "{service}：local 或 remote").format(service=service)
        for each in vendor.fields:
            text = Text("{service}: {what}", "{service}：{what}").format(service=service, what=each.text)
            yield vendor.variable(each), text
            if each.secret:
                yield (
                    f"{vendor.variable(each)}_FILE",
                    Text("{text}, from a file", "{text}（从文件读取）").format(text=text),
                )


def _service(vendor: Vendor) -> Text:
    return vendor.service if any(vendor.service) else vendor.text


def read_credentials(
    environment: Mapping[str, str], keyring: Keyring | None = None, vendors: Sequence[Vendor] = VENDORS
) -> Mapping[str, Credentials]:
    """Return the credentials of the vendors whose platforms are used, by their names.

    ConfigurationError at the first one that is neither local nor complete, and where two serve the same system.
    """
    remote: dict[str, Credentials] = {}
    for vendor in vendors:
        pin = environment.get(vendor.pin, "").strip().casefold()
        if pin not in ("", "local", "remote"):
            raise ConfigurationError(
                Text("{pin} must be local or remote.", "{pin} 应为 local 或 remote。").format(pin=vendor.pin),
                next_step=Text("Correct it, or leave it out.", "请改正，或不设置。"),
            )
        if pin == "local":
            continue
        given = _given(vendor, environment, keyring)
        missing = [each for each in vendor.fields if each.needed and not _has(given, each)]
        started = any(_has(given, each) for each in vendor.fields if each.needed)
        if missing and (started or pin == "remote"):
            raise _incomplete(vendor, [vendor.variable(each) for each in missing])
        if not missing:
            other = next((each.vendor for each in remote.values() if each.vendor.system == vendor.system), None)
            if other is not None:
                raise _two(other, vendor)
            remote[vendor.name] = given
    return remote


def _two(one: Vendor, other: Vendor) -> ConfigurationError:
    return ConfigurationError(
        Text(
            "{one} and {other} are both set up, and only one of them can be used at a time.",
            "{one}与{other}都已设置，但同时只能使用其中一个。",
        ).format(one=_service(one), other=_service(other)),
        next_step=Text(
            "Set {one}=local to use {other}, or {two}=local to use {first}.",
            "如使用{other}，请设 {one}=local；如使用{first}，请设 {two}=local。",
        ).format(one=one.pin, two=other.pin, first=_service(one), other=_service(other)),
    )


def _has(given: Credentials, each: Field) -> bool:
    return bool(given.secrets.get(each.key) if each.secret else given.values.get(each.key))


def _given(vendor: Vendor, environment: Mapping[str, str], keyring: Keyring | None) -> Credentials:
    values: dict[str, str] = {}
    secrets: dict[str, Secret] = {}
    for each in vendor.fields:
        if each.secret:
            text = _secret(vendor.variable(each), environment, keyring)
            if text:
                secrets[each.key] = Secret(text)
        else:
            values[each.key] = environment.get(vendor.variable(each), "").strip() or each.default
    return Credentials(vendor, values, secrets)


def _secret(name: str, environment: Mapping[str, str], keyring: Keyring | None) -> str:
    text, file = environment.get(name, "").strip(), environment.get(f"{name}_FILE", "").strip()
    if text and file:
        raise ConfigurationError(
            Text("{name} and {name}_FILE are both set.", "{name} 与 {name}_FILE 同时设置了。").format(name=name),
            next_step=Text("Keep one of them.", "请只保留其中一个。"),
        )
    if file:
        return _from_file(name, Path(file).expanduser())
    return text or (keyring.get_password(SERVICE, name) or "" if keyring else "")


def _from_file(name: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(MOST_SECRET + 1).decode("utf-8-sig")
    except OSError as error:
        raise _unreadable(name, same(error.strerror or "–")) from None
    except ValueError:
        raise _unreadable(name, Text("it is not text in UTF-8", "不是 UTF-8 文本")) from None
    if len(text) > MOST_SECRET:
        raise _unreadable(name, Text("it is too long", "内容过长"))
    return text.strip()


def _unreadable(name: str, why: Text) -> ConfigurationError:
    return ConfigurationError(
        Text("The file of {name}_FILE can't be read: {why}.", "无法读取 {name}_FILE 指定的文件：{why}。").format(
            name=name, why=why
        ),
        next_step=Text(
            "Name a small text file that holds nothing but the secret.", "请指定一个只含该凭证的小文本文件。"
        ),
    )


def _incomplete(vendor: Vendor, missing: list[str]) -> ConfigurationError:
    return ConfigurationError(
        Text(
            "{service} is not completely set up; missing: {missing}.", "{service}的设置不完整，缺少 {missing}。"
        ).format(service=_service(vendor), missing=listed(missing)),
        next_step=Text(
            "Set what is missing, or {pin}=local to work on this machine.",
            "请补全缺少的变量，或设 {pin}=local 以在本机运行。",
        ).format(pin=vendor.pin),
    )
