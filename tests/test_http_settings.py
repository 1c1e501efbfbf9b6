"""Settings of the HTTP server: a combination that is not clear does not start."""

import pytest

from mcp_server.errors import ConfigurationError
from mcp_server.settings import HTTP, Given, HttpSettings, OAuthSettings, is_loopback, read_http_settings
from tests.operations.desk import check_error

OAUTH = {
    "FENQUN_AUTH": "oauth",
    "FENQUN_OAUTH_ISSUER": "https://login.example.com/tenant/",
    "FENQUN_OAUTH_JWKS": "https://login.example.com/keys",
    "FENQUN_PUBLIC_URL": "https://fenqun.example.com/",
}


def refused(environment: dict[str, str], given: Given | None = None) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        read_http_settings(environment, given)
    check_error(caught.value)
    return caught.value


def test_without_anything_it_listens_on_this_machine_alone() -> None:
    settings = read_http_settings({})
    assert settings == HttpSettings("127.0.0.1", 8000, (), "", "none", False, None)
    assert settings.loopback
    assert settings.names == ("127.0.0.1", "localhost", "[::1]")


def test_every_variable_is_read() -> None:
    environment = OAUTH | {
        "FENQUN_HTTP_HOST": "0.0.0.0",  # noqa: S104
        "FENQUN_HTTP_PORT": "9000",
        "FENQUN_ALLOW_HOSTS": "a.example.com, B.example.com",
        "FENQUN_OAUTH_AUDIENCE": "api://fenqun",
    }
    assert set(environment) == {setting.variable for setting in HTTP}
    settings = read_http_settings(environment)
    oauth = OAuthSettings(OAUTH["FENQUN_OAUTH_ISSUER"], OAUTH["FENQUN_OAUTH_JWKS"], "api://fenqun")
    hosts = ("a.example.com", "B.example.com")
    assert settings == HttpSettings("0.0.0.0", 9000, hosts, "https://fenqun.example.com", "oauth", True, oauth)  # noqa: S104
    assert settings.names[3:] == ("a.example.com", "b.example.com", "fenqun.example.com")


def test_the_command_line_wins() -> None:
    given = {"host": "::1", "port": "0", "allow_hosts": ["x.example.com"], "public_url": "", "auth": "token"}
    environment = {"FENQUN_HTTP_HOST": "0.0.0.0", "FENQUN_HTTP_PORT": "x", "FENQUN_AUTH": "none"}  # noqa: S104
    settings = read_http_settings(environment, given)
    assert (settings.host, settings.port, settings.auth, settings.auth_given) == ("::1", 0, "token", True)


def test_the_audience_follows_from_the_public_address() -> None:
    oauth = read_http_settings(OAUTH).oauth
    assert oauth is not None
    assert oauth.audience == "https://fenqun.example.com/mcp"
    assert oauth.issuer.endswith("/tenant/"), "an issuer is compared letter by letter"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "no-such-name.invalid", "a b", "ü" * 70], ids=ascii)  # noqa: S104
def test_nobody_listens_beyond_this_machine_without_proof(host: str) -> None:
    error = refused({}, {"host": host})
    assert "--auth token" in error.next_step.en
    refused({}, {"host": host, "auth": "none"})


def test_a_server_for_every_address_says_its_name() -> None:
    error = refused({}, {"host": "0.0.0.0", "auth": "token"})  # noqa: S104
    assert "--allow-host" in error.next_step.en
    named = read_http_settings({}, {"host": "0.0.0.0", "auth": "token", "allow_hosts": ("x.example.com",)})  # noqa: S104
    assert "x.example.com" in named.names
    assert "0.0.0.0" not in named.names  # noqa: S104
    assert "192.0.2.7" in read_http_settings({}, {"host": "192.0.2.7", "auth": "token"}).names


@pytest.mark.parametrize("missing", ["FENQUN_OAUTH_ISSUER", "FENQUN_OAUTH_JWKS", "FENQUN_PUBLIC_URL"])
def test_half_an_oauth_server_does_not_start(missing: str) -> None:
    assert missing in refused({name: value for name, value in OAUTH.items() if name != missing}).message.en


@pytest.mark.parametrize("auth", ["", "none", "token"])
def test_oauth_settings_with_another_proof_do_not_start(auth: str) -> None:
    error = refused(OAUTH | {"FENQUN_AUTH": auth})
    assert "FENQUN_OAUTH_ISSUER" in error.message.en


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FENQUN_AUTH", "basic"),
        ("FENQUN_HTTP_PORT", "65536"),
        ("FENQUN_HTTP_PORT", "-1"),
        ("FENQUN_HTTP_PORT", "８０００"),
        ("FENQUN_ALLOW_HOSTS", "https://x.example.com"),
        ("FENQUN_ALLOW_HOSTS", "x.example.com:8000"),
        ("FENQUN_ALLOW_HOSTS", "*"),
        ("FENQUN_PUBLIC_URL", "http://fenqun.example.com"),
        ("FENQUN_PUBLIC_URL", "https://kim:secret@fenqun.example.com"),
        ("FENQUN_PUBLIC_URL", "https://fenqun.example.com/?a=1"),
        ("FENQUN_PUBLIC_URL", "ftp://fenqun.example.com"),
        ("FENQUN_PUBLIC_URL", "https://[::1"),
        ("FENQUN_PUBLIC_URL", "https://x:99999"),
        ("FENQUN_OAUTH_JWKS", "file:///etc/passwd"),
        ("FENQUN_OAUTH_ISSUER", "login.example.com"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_legal(name: str, value: str) -> None:
    error = refused(OAUTH | {name: value})
    assert name in error.message.en


def test_what_is_this_machine_alone() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.8.8.8", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "", "nowhere.invalid"]))  # noqa: S104
