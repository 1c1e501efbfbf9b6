"""Where this project is published: the one place that names it. `OWNER` is replaced when the repository becomes public."""

from typing import Final

NAME: Final = "fenqun"
OWNER: Final = "OWNER"
REPOSITORY: Final = f"https://github.com/{OWNER}/{NAME}"
REGISTRY_NAME: Final = f"io.github.{OWNER}/{NAME}"
"""The name in the registry of MCP servers; README, image label and server.json carry the same."""
IMAGE: Final = f"ghcr.io/{OWNER}/{NAME}"
SUMMARY: Final = "Turn a sentence into a live user segment over your own data, and carry it into a campaign"
"""At most 100 characters: the registry takes no more."""
KEYWORDS: Final = ("segmentation", "cdp", "crm", "thinkingdata", "分群", "用户分群", "标签")
