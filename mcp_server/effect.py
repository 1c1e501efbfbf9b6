"""What an operation does to the world: the one field that annotations, read-only mode, consent and retry read."""

from enum import Enum


class Effect(Enum):
    """The effect of one operation. An operation with two effects is two operations."""

    READ = "read"
    """Changes nothing on a platform. (It may write a file into the workspace's own exports folder.)"""
    CREATE = "create"
    """Adds something; repeating the same call adds nothing more."""
    REPLACE = "replace"
    """Overwrites something that a person made."""
    DELETE = "delete"
    """Removes something that a person made."""
    TRIGGER = "trigger"
    """Starts work whose result can be had again at any time; destroys nothing."""

    @property
    def writes(self) -> bool:
        """True where read-only mode refuses the operation."""
        return self is not Effect.READ

    @property
    def destroys(self) -> bool:
        """True where something a person made is overwritten or removed."""
        return self in (Effect.REPLACE, Effect.DELETE)
