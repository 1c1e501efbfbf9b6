"""server.json, the skill, the plugin, the links: what registries, agents and clients ask of them."""

import base64
import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from jsonschema import Draft202012Validator

from mcp_server.cli import COMMANDS
from mcp_server.operations.registry import OPERATIONS
from mcp_server.settings import known_variables
from tests.packages.newcomer import ROOT
from tools import packages
from tools.publishing import REGISTRY_NAME

TEXT = {"type": "string", "minLength": 1}
VERSION = {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"}
INPUT = {
    "type": "object",
    "properties": {
        "description": TEXT, "isRequired": {"type": "boolean"}, "isSecret": {"type": "boolean"}, "default": TEXT,
        "format": {"enum": ["string", "number", "boolean", "filepath"]}, "choices": {"type": "array", "items": TEXT},
        "name": TEXT, "value": TEXT, "type": {"enum": ["positional", "named"]}, "variables": {"type": "object"},
    },
    "additionalProperties": False,
}  # fmt: skip
SCHEMA = {
    "type": "object",
    "required": ["$schema", "name", "description", "version"],
    "properties": {
        "$schema": {"const": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"},
        "name": {"type": "string", "pattern": r"^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$", "minLength": 3, "maxLength": 200},
        "title": {"type": "string", "minLength": 1, "maxLength": 100},
        "description": {"type": "string", "minLength": 1, "maxLength": 100},
        "version": VERSION,
        "websiteUrl": {"type": "string", "pattern": "^https://"},
        "repository": {
            "type": "object",
            "required": ["url", "source"],
            "properties": {"url": {"type": "string", "pattern": "^https://"}, "source": TEXT},
            "additionalProperties": False,
        },
        "icons": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["src"],
                "properties": {
                    "src": {"type": "string", "pattern": "^https://", "maxLength": 255},
                    "mimeType": {"enum": ["image/png", "image/jpeg", "image/svg+xml", "image/webp"]},
                    "sizes": {"type": "array", "items": {"type": "string", "pattern": r"^(\d+x\d+|any)$"}},
                },
                "additionalProperties": False,
            },
        },
        "packages": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["registryType", "identifier", "transport"],
                "properties": {
                    "registryType": {"enum": ["pypi", "oci", "mcpb"]},
                    "identifier": TEXT,
                    "version": VERSION,
                    "runtimeHint": TEXT,
                    "transport": {"const": {"type": "stdio"}},
                    "runtimeArguments": {"type": "array", "items": INPUT},
                    "packageArguments": {"type": "array", "items": INPUT},
                    "environmentVariables": {"type": "array", "items": INPUT | {"required": ["name"]}},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
"""What we use of the registry's schema 2025-12-11, written down from it and stricter: nothing else may be there."""


def committed(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((ROOT / name).read_text(encoding="utf-8"))
    return data


def test_the_entry_of_the_registry_fits_its_schema() -> None:
    entry = committed(packages.SERVER)
    Draft202012Validator(SCHEMA).validate(entry)
    pypi, oci = entry["packages"]
    assert oci["identifier"].endswith(f":{entry['version']}"), "the tag is part of the identifier"
    assert pypi["version"] == entry["version"]
    assert {variable["name"] for variable in pypi["environmentVariables"]} <= set(known_variables())
    secrets = {variable["name"] for variable in pypi["environmentVariables"] if variable.get("isSecret")}
    assert {"FENQUN_THINKINGDATA_TOKEN", "FENQUN_VOLCENGINE_SECRET_KEY"} < secrets
    assert all(package["packageArguments"] == [{"type": "positional", "value": "serve"}] for package in (pypi, oci))


@pytest.mark.parametrize(
    "broken", [{"name": "fenqun"}, {"description": "x" * 101}, {"version": "latest"}, {"homepage": "https://x"}]
)
def test_what_the_registry_refuses_does_not_fit(broken: dict[str, str]) -> None:
    assert not Draft202012Validator(SCHEMA).is_valid(committed(packages.SERVER) | broken)


def test_the_readme_names_the_server_as_the_registry_does() -> None:
    """So the registry knows that the package on PyPI is ours."""
    assert f"mcp-name: {REGISTRY_NAME} " in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_skill_is_one_that_agents_read() -> None:
    for name in packages.SKILL_FILES:
        page = (ROOT / name).read_text(encoding="utf-8")
        head = dict(line.split(": ", 1) for line in page.split("---\n")[1].splitlines())
        assert head["name"] == (ROOT / name).parent.name == packages.SKILL
        assert re.fullmatch(r"[a-z0-9-]{1,64}", head["name"])
        assert len(head["description"]) <= 1024
        assert "分群" in head["description"]
        named = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
        assert named == {o.name for o in OPERATIONS}
        assert set(re.findall(r"^\| `fenqun (\w+)` \|", page, re.MULTILINE)) < set(COMMANDS)


def test_the_plugin_holds_server_and_skill() -> None:
    manifest = committed(packages.PLUGIN)
    assert manifest["mcpServers"] == {"fenqun": {"command": "fenqun", "args": ["serve"]}}
    folder = (ROOT / packages.PLUGIN).parents[1]
    assert (folder / "skills" / packages.SKILL / "SKILL.md").is_file()


@pytest.mark.parametrize("page", packages.LINKED)
def test_links_carry_the_entry(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [
        urlsplit(link) for link in re.findall(r"\]\((https://[^)]+install[^)]+)\)", text.partition("links:start")[2])
    ]
    given = {link.hostname: {key: value for key, (value,) in parse_qs(link.query).items()} for link in targets}
    assert {values["name"] for values in given.values()} == {"fenqun"}
    for host, decode in (
        ("cursor.com", base64.b64decode),
        ("lmstudio.ai", base64.b64decode),
        ("insiders.vscode.dev", str),
    ):
        assert json.loads(decode(given[host]["config"])) == packages.ENTRY
