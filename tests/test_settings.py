"""Settings are read strictly, and a wrong one says what would be right."""

import dataclasses
import os
import sys
from pathlib import Path

import pytest

from mcp_server.errors import ConfigurationError
from mcp_server.settings import PROCESS, Settings, known_variables, language_of, read_settings, unknown_variables


def test_without_anything_the_defaults_stand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    settings = read_settings({})
    assert settings == Settings(workspace=settings.workspace)
    assert settings.workspace.name == "fenqun"
    assert settings.workspace.is_relative_to(tmp_path)


def test_every_variable_is_read(tmp_path: Path) -> None:
    environment = {
        "FENQUN_WORKSPACE": str(tmp_path),
        "FENQUN_PROJECT": "42",
        "FENQUN_PIN_PROJECT": "1",
        "FENQUN_LANGUAGE": "ZH",
        "FENQUN_READ_ONLY": "1",
        "FENQUN_CONSENT": "TOKEN",
        "FENQUN_CONSENT_PLATFORMS": "Taobao, volcengine",
        "FENQUN_LOG_DAYS": "30",
        "FENQUN_UNDO_DAYS": "14",
        "FENQUN_CLUSTER_NAME_LIMIT": "80",
        "FENQUN_DISPLAY_NAME_LIMIT": "60",
        "FENQUN_MEMORY_LIMIT": "1.5 GB",
        "FENQUN_SQL_MEMORY": "1.5 GiB",
        "FENQUN_SQL_SECONDS": "600",
        "FENQUN_THREADS": "3",
        "FENQUN_ALLOW_DIRS": f"{tmp_path}{os.pathsep}{tmp_path.parent}",
    }
    assert set(environment) == {setting.variable for setting in PROCESS}
    settings = Settings(
        tmp_path,
        "42",
        True,
        "zh",
        True,
        "token",
        frozenset({"taobao", "volcengine"}),
        30,
        14,
        80,
        60,
        "1.5 GB",
        3 * 2**29,
        600,
        3,
        allow_dirs=(tmp_path, tmp_path.parent),
    )
    assert read_settings(environment) == settings


def test_folders_of_the_command_line_take_the_place_of_the_environments(tmp_path: Path) -> None:
    given = {"allow_dirs": [str(tmp_path), str(tmp_path.parent)]}
    assert read_settings({"FENQUN_ALLOW_DIRS": "/nowhere"}, given).allow_dirs == (tmp_path, tmp_path.parent)


def test_a_whole_disk_or_home_folder_is_never_allowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home, inside, link = tmp_path / "people" / "ann", tmp_path / "people" / "ann" / "lists", tmp_path / "link"
    inside.mkdir(parents=True)
    link.symlink_to(home)
    monkeypatch.setenv("HOME", str(home))
    for wide in ("/", "~", str(home), str(home.parent), str(link), f"{inside}{os.pathsep}/", str(tmp_path / "none")):
        with pytest.raises(ConfigurationError, match="--allow-dir"):
            read_settings({}, {"allow_dirs": [wide]})
    assert read_settings({}, {"allow_dirs": ["~/lists"]}).allow_dirs == (inside,)


def test_the_command_line_wins_over_the_environment(tmp_path: Path) -> None:
    environment = {
        "FENQUN_WORKSPACE": "/elsewhere",
        "FENQUN_PROJECT": "no number",
        "FENQUN_LANGUAGE": "zh",
        "FENQUN_READ_ONLY": "0",
    }
    settings = read_settings(
        environment, {"workspace": str(tmp_path), "project_id": "7", "language": "en", "read_only": True}
    )
    assert (settings.workspace, settings.project_id, settings.language, settings.read_only) == (
        tmp_path,
        "7",
        "en",
        True,
    )


def test_a_home_folder_is_understood_and_a_blank_value_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_settings({"FENQUN_WORKSPACE": "~/data", "FENQUN_THREADS": " "}) == Settings(tmp_path / "data")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FENQUN_WORKSPACE", "a\0b"),
        ("FENQUN_PROJECT", "main"),
        ("FENQUN_PROJECT", "0"),
        ("FENQUN_LANGUAGE", "fr"),
        ("FENQUN_READ_ONLY", "maybe"),
        ("FENQUN_CONSENT_PLATFORMS", "all"),
        ("FENQUN_CONSENT_PLATFORMS", "*"),
        ("FENQUN_CONSENT_PLATFORMS", "taobao,local"),
        ("FENQUN_CONSENT_PLATFORMS", "taobao,,volcengine"),
        ("FENQUN_CLUSTER_NAME_LIMIT", "81"),
        ("FENQUN_DISPLAY_NAME_LIMIT", "0"),
        ("FENQUN_DISPLAY_NAME_LIMIT", "5.5"),
        ("FENQUN_MEMORY_LIMIT", "lots"),
        ("FENQUN_MEMORY_LIMIT", "2GB'; DROP"),
        ("FENQUN_SQL_MEMORY", "lots"),
        ("FENQUN_SQL_MEMORY", "63MiB"),
        ("FENQUN_SQL_MEMORY", "1.2.3GB"),
        ("FENQUN_SQL_SECONDS", "0"),
        ("FENQUN_SQL_SECONDS", "3601"),
        ("FENQUN_THREADS", "²"),
        ("FENQUN_THREADS", "9" * 5000),
    ],
    ids=str,
)
def test_a_wrong_value_names_the_variable_and_what_is_legal(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_settings({name: value})
    for said in (caught.value.message, caught.value.next_step):
        assert name in said.en
        assert name in said.zh
        assert len(said.en) < 500
    assert caught.value.message.en != caught.value.message.zh


@pytest.mark.parametrize(
    ("said", "size"), [("64MiB", 64 * 2**20), ("64 mib", 64 * 2**20), ("70MB", 70_000_000), ("1.5GB", 1_500_000_000)]
)
def test_memory_for_sql_is_read_in_bytes(said: str, size: int) -> None:
    assert read_settings({"FENQUN_SQL_MEMORY": said}).sql_memory == size


def test_a_misspelt_variable_draws_a_warning_with_the_nearest_name() -> None:
    (first, second) = unknown_variables(
        {"FENQUN_WORKSPACES": "x", "FENQUN_ZZZ": "x", "OTHER": "x", "FENQUN_THREADS": "2"}
    )
    assert first.en == "Nothing reads the variable FENQUN_WORKSPACES; did you mean FENQUN_WORKSPACE?"
    assert first.zh == "没有名为 FENQUN_WORKSPACES 的环境变量设置；是否想用 FENQUN_WORKSPACE？"
    assert second.en == "Nothing reads the variable FENQUN_ZZZ."


@pytest.mark.parametrize(
    ("environment", "given", "language"),
    [({}, "", "en"), ({"FENQUN_LANGUAGE": "zh"}, "", "zh"), ({}, "zh", "zh"), ({}, "??", "en")],
)
def test_a_language_is_known_before_the_settings_are(environment: dict[str, str], given: str, language: str) -> None:
    assert language_of(environment, given) == language


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read_settings({}).threads = 5  # type: ignore[misc]


def test_the_keyring_is_asked_for_secrets_that_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring")
    kept = {("fenqun", "FENQUN_TAOBAO_APP_SECRET"): "from-keyring"}

    class Box(keyring.backend.KeyringBackend):  # type: ignore[misc, name-defined]
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            if username == "FENQUN_VOLCENGINE_SECRET_KEY" and locked:
                raise keyring.errors.KeyringLocked
            return kept.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            raise NotImplementedError

        def delete_password(self, service: str, username: str) -> None:
            raise NotImplementedError

    locked = False
    monkeypatch.setattr(keyring.core, "_keyring_backend", Box())
    environment = {"FENQUN_KEYRING": "1", "FENQUN_TAOBAO_APP_KEY": "1", "FENQUN_TAOBAO_SESSION": "s"}
    assert read_settings(environment).remote["taobao"].secret("app_secret") == "from-keyring"
    with pytest.raises(ConfigurationError, match="APP_SECRET"):
        read_settings(environment | {"FENQUN_KEYRING": "0"})
    locked = True
    with pytest.raises(ConfigurationError, match="keyring can't be read"):
        read_settings(environment)


def test_without_the_package_the_keyring_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError) as caught:
        read_settings({"FENQUN_KEYRING": "1"})
    assert "fenqun[keyring]" in caught.value.next_step.zh


def test_no_variable_of_ours_is_called_unknown() -> None:
    names = known_variables()
    assert {"FENQUN_TAOBAO_SESSION_FILE", "FENQUN_PIN_PROJECT", "FENQUN_KEYRING", "FENQUN_AUTH"} <= set(names)
    assert unknown_variables(dict.fromkeys(names, "")) == []
    (warning,) = unknown_variables({"FENQUN_TAOBAO_SECRET": "x"})
    assert "FENQUN_TAOBAO_" in warning.en


def test_every_variable_has_its_place_in_the_documentation() -> None:
    root = Path(__file__).resolve().parents[1]
    pages = "".join(path.read_text(encoding="utf-8") for path in (root / "README.md", *(root / "docs").glob("*.md")))
    assert [name for name in known_variables() if f"`{name}`" not in pages] == []
