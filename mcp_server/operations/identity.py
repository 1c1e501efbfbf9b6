"""Who makes a call, and how far that reaches.

Over stdio and on the command line it is the system's user, who may do everything that the server may. Over
HTTP a token says it. Scope and projects bind every operation: `Deps.project` and `calling.call` look here.
"""

import getpass
import os
from dataclasses import dataclass, field
from typing import Literal

Known = Literal["system", "loopback", "token", "oauth", "gateway"]
"""How a caller is known: he started this process himself; he came over HTTP from this machine, without a token;
by a static token; by the token of an authorization server; by the credentials of the gateway."""


def system_user() -> str:
    """The name of the user that this process runs as; his number where the system has no name for him."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return str(os.getuid()) if hasattr(os, "getuid") else "?"


@dataclass(frozen=True, slots=True)
class Identity:
    """One caller. The default is whoever started this process."""

    name: str = field(default_factory=system_user)
    known: Known = "system"
    client: str = ""
    """What the client calls itself; never a proof of anything."""
    client_version: str = ""
    may_write: bool = True
    projects: frozenset[str] | None = None
    """The projects that may be used; None for all."""

    def may_use(self, project: str) -> bool:
        """Whether this project is within reach."""
        return self.projects is None or project in self.projects
