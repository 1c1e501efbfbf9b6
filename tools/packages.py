"""Files by which people and agents get in: the registry's server.json, a skill, a plugin for Claude Code, links.

All are made from what is there already: the instructions for assistants, the tools, the commands, the settings and
accounts. `tools.generate` writes them and holds them in step.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, urlencode

from mcp_server import __version__
from mcp_server.cli import COMMANDS
from mcp_server.credentials import VENDORS
from mcp_server.front.mcp.server import instructions
from mcp_server.operations.registry import OPERATIONS
from mcp_server.settings import PROCESS
from tools.bundle import first_sentence
from tools.publishing import IMAGE, KEYWORDS, NAME, OWNER, REGISTRY_NAME, REPOSITORY, SUMMARY

SERVER: Final = "server.json"
SKILL: Final = "fenqun-segments"
SKILL_FILES: Final = (f"packaging/skill/{SKILL}/SKILL.md", f"packaging/plugin/skills/{SKILL}/SKILL.md")
PLUGIN: Final = "packaging/plugin/.claude-plugin/plugin.json"
LINKED: Final = ("docs/install.md", "docs/install.zh.md")

ENTRY: Final = {"command": "uvx", "args": [NAME, "serve"]}
"""What links add to a client: it needs the published package."""
_OFFERED: Final = ("workspace", "language", "allow_dirs", "read_only")


def files() -> dict[str, str]:
    """Every file that is made here as a whole, by its path."""
    skill = skill_page()
    return {SERVER: _json(server_json()), PLUGIN: _json(plugin()), **dict.fromkeys(SKILL_FILES, skill)}


def server_json() -> dict[str, Any]:
    """Return the entry for the registry of MCP servers. A release adds its bundle with the digest of that file."""
    serve = [{"type": "positional", "value": "serve"}]
    volume = {"description": "Folder of the workspace on this machine", "format": "filepath", "isRequired": True}
    return {
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": REGISTRY_NAME,
        "title": "fenqun 分群",
        "description": SUMMARY,
        "version": __version__,
        "websiteUrl": REPOSITORY,
        "repository": {"url": REPOSITORY, "source": "github"},
        "icons": [
            {"src": f"https://raw.githubusercontent.com/{OWNER}/{NAME}/main/packaging/icon.png", "mimeType": "image/png", "sizes": ["512x512"]}
        ],
        "packages": [
            {
                "registryType": "pypi",
                "identifier": NAME,
                "version": __version__,
                "runtimeHint": "uvx",
                "transport": {"type": "stdio"},
                "packageArguments": serve,
                "environmentVariables": list(_variables()),
            },
            {
                "registryType": "oci",
                "identifier": f"{IMAGE}:{__version__}",
                "runtimeHint": "docker",
                "transport": {"type": "stdio"},
                "runtimeArguments": [
                    {"type": "named", "name": "-v", "value": "{workspace}:/data", "variables": {"workspace": volume}}
                ],
                "packageArguments": serve,
            },
        ],
    }  # fmt: skip


def _variables() -> Iterator[dict[str, Any]]:
    for setting in PROCESS:
        if setting.key in _OFFERED:
            choices = {"choices": ["en", "zh"], "default": "en"} if setting.key == "language" else {}
            kind = {"format": "filepath"} if setting.key == "workspace" else {}
            yield {"name": setting.variable, "description": setting.help.en, **kind, **choices}
    for vendor in VENDORS:
        for field in vendor.fields:
            if field.needed:
                secret = {"isSecret": True} if field.secret else {}
                yield {"name": vendor.variable(field), "description": f"{vendor.text.en}: {field.text.en}", **secret}


def plugin() -> dict[str, Any]:
    """Return the manifest of a plugin for Claude Code, which finds the program on the PATH of its terminal."""
    return {
        "name": NAME,
        "description": SUMMARY,
        "version": __version__,
        "author": {"name": OWNER},
        "homepage": REPOSITORY,
        "repository": REPOSITORY,
        "license": "MIT",
        "keywords": list(KEYWORDS),
        "mcpServers": {NAME: {"command": NAME, "args": ["serve"]}},
    }


_SKILL_HEAD: Final = f"""\
---
name: {SKILL}
description: Turn a sentence about users into a checked, sized and saved segment, and carry it into a campaign (export, crowd analysis, outbound calls), with the fenqun MCP server or its command line. Use it when somebody asks for a segment, cluster, tag, audience, crowd or list of users, 分群, 标签, 人群, 圈人, 用户画像, 外呼.
license: MIT
---

# From a sentence to a campaign

Use the tools of the server `{NAME}` if they are there. Without them, use the command line: the same tools, the same results.
"""
_SKILL_CLI: Final = """\
## The command line

    fenqun call TOOL '{"argument": "value"}'     # or @file, or - for stdin; --json prints the structured result
    fenqun call create_cluster @definition.json --json

Every tool that changes something takes `"dry_run": true`: use it, show the user what would happen, and only then repeat the call. What overwrites or
removes is asked on the terminal; where there is none, the call ends with an id, and a person approves it with `fenqun approve ID`. Never pass `--yes`
unless the user has agreed to that very act. The project is `--project ID`, the workspace `--workspace DIR`; arguments of a tool: `tool_schemas/TOOL.json`.

| Command | What it does |
| --- | --- |
"""
_NOT_FOR_AGENTS: Final = frozenset({"serve", "gateway", "token", "uninstall", "install", "purge"})


def skill_page() -> str:
    """Return SKILL.md: the instructions that an assistant gets when it connects, the tools, the commands."""
    tools = "\n".join(f"| `{o.name}` | {_cell(first_sentence(o.description))} |" for o in OPERATIONS)
    commands = "\n".join(
        f"| `fenqun {name}` | {_cell(command.text.en)} |"
        for name, command in COMMANDS.items()
        if name not in _NOT_FOR_AGENTS
    )
    work = instructions(read_only=False, language="en")
    return "\n".join(
        [_SKILL_HEAD, "## The work\n", work, "\n## Tools\n", "| Tool | What it does |\n| --- | --- |", tools, "", _SKILL_CLI + commands, ""]
    )  # fmt: skip


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def links(page: str) -> str:
    """Return the links that add the server to a client, as Markdown in the language of the page."""
    entry = json.dumps(ENTRY, separators=(",", ":"))
    cursor = urlencode({"name": NAME, "config": base64.b64encode(entry.encode()).decode()})
    code = f"https://insiders.vscode.dev/redirect/mcp/install?name={NAME}&config={quote(entry, safe='')}"
    chinese = page.endswith(".zh.md")
    add = "添加到 {}" if chinese else "Add to {}"
    badge = f"https://img.shields.io/badge/VS_Code-{quote(add.format('VS Code').replace(' ', '_'))}-0098FF"
    rows = (
        f"[![{add.format('Cursor')}](https://cursor.com/deeplink/mcp-install-dark.svg)](https://cursor.com/en/install-mcp?{cursor})",
        f"[![{add.format('VS Code')}]({badge})]({code})",
        f"[LM Studio](https://lmstudio.ai/install-mcp?{cursor})",
    )
    return "\n".join(("发布后可用：" if chinese else "Once published:", *rows))


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
