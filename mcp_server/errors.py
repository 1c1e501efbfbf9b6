"""The errors of the project, sorted by what the reader can do next.

* `InputError`: fix the arguments and call again.
* `RefusedError`: a person has to decide.
* `VendorError`: a remote platform did not do it, or may have done it; the text says which.
* `EngineError`: the local engine could not finish; the text says whether trying again helps.
* `ConfigurationError`: the operator has to change a setting; raised at start.

Every leaf class has a stable `code`. Texts are in both languages and name the next step. Raised early,
caught once: in `front/mcp/handler.py` and in `cli.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mcp_server.text import NOTHING, Text


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or, as a warning, worth a second look (qp.md section 8)."""

    path: str
    """JSON Pointer into the arguments as they were sent."""
    code: str
    message: Text
    got: str = ""
    expected: Text = NOTHING
    suggestion: str = ""
    """A replacement for the value at `path`; empty where there is no good one."""


@dataclass(frozen=True, slots=True)
class Repair:
    """One change that was made while reading; it never changes the meaning (qp.md section 1)."""

    path: str
    before: str
    after: str
    reason: Text


class FenqunError(Exception):
    """Base of all errors that a user may see."""

    code: ClassVar[str] = ""
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: Text,
        *,
        next_step: Text = NOTHING,
        problems: Sequence[Problem] = (),
        repairs: Sequence[Repair] = (),
    ) -> None:
        super().__init__(message.en)
        self.message = message
        self.next_step = next_step
        self.problems = tuple(problems)
        self.repairs = tuple(repairs)


class InputError(FenqunError):
    """The caller can fix it."""


class InvalidArguments(InputError):
    """The arguments of a call have the wrong shape: a missing, unknown or wrongly typed one."""

    code = "invalid_arguments"


class InvalidDefinition(InputError):
    """The definition has problems; all of them are listed."""

    code = "invalid_definition"


class UnknownTool(InputError):
    """No operation has this name."""

    code = "unknown_tool"


class NotFound(InputError):
    """No such cluster, job or file in this project."""

    code = "not_found"


class NoProject(InputError):
    """Nothing was ever loaded into this project."""

    code = "no_project"


class NameTaken(InputError):
    """The cluster name is in use, for something else."""

    code = "name_taken"


class ChangedMeanwhile(InputError):
    """What was to be changed is no longer as the caller saw it; read it again."""

    code = "changed_meanwhile"


class ClusterInUse(InputError):
    """Other clusters, tags or tasks rest on it."""

    code = "cluster_in_use"


class NotRefreshable(InputError):
    """A fixed list of users; there is nothing to compute again."""

    code = "not_refreshable"


class TaskEnded(InputError):
    """The task's validity is over; it has to be extended first."""

    code = "task_ended"


class LoadRefused(InputError):
    """Files could not be loaded; nothing was changed. Carries the counts by reason and the first bad rows."""

    code = "load_refused"


class RefusedError(FenqunError):
    """A person has to decide."""


class NotAllowed(RefusedError):
    """The caller's access does not reach that far: a scope or a project is missing."""

    code = "not_allowed"


class ReadOnlyMode(RefusedError):
    """The server was started with --read-only."""

    code = "read_only"


class NotOnPlatform(RefusedError):
    """The platform has no call for this; a person does it there."""

    code = "not_on_platform"


class VendorError(FenqunError):
    """A remote platform is concerned."""


class VendorUnreachable(VendorError):
    """The platform could not be reached, or gave no answer to a question. Nothing was changed."""

    code = "vendor_unreachable"
    retryable = True


class VendorBusy(VendorError):
    """The platform refused for now: too many calls. Nothing was changed; the text says how long to wait, where it is known."""

    code = "vendor_busy"
    retryable = True


class VendorRejected(VendorError):
    """The platform refused the request; its own code and words are quoted. Nothing was changed."""

    code = "vendor_rejected"


class VendorDenied(VendorError):
    """The platform does not accept the credentials, or they do not reach that far. Nothing was changed."""

    code = "vendor_denied"


class VendorUnreadable(VendorError):
    """The platform answered a question with something that is not its documented form."""

    code = "vendor_unreadable"


class OutcomeUnknown(VendorError):
    """A change was sent and its answer lost or unreadable: it may have happened. The text names the read that settles it."""

    code = "outcome_unknown"


class ConsentDeclined(RefusedError):
    """A person was asked and did not say yes; nothing was changed."""

    code = "consent_declined"


class ApprovalNeeded(RefusedError):
    """Nobody could be asked in the client; the act waits until a person approves it elsewhere."""

    code = "approval_needed"


class ConsentInvalid(RefusedError):
    """The consent is used up, expired, for another call, or for a state that is no more; nothing was changed."""

    code = "consent_invalid"


class EngineError(FenqunError):
    """The engine could not finish."""


class NoData(EngineError):
    """The project has no data yet."""

    code = "no_data"


class NotComputed(EngineError):
    """The cluster has no good version yet."""

    code = "not_computed"


class QueryFailed(EngineError):
    """The engine refused or broke off a statement; a bug or a resource limit."""

    code = "query_failed"


class FileDamaged(EngineError):
    """A data file or a file of members is missing, empty or damaged; the text names it and what to do."""

    code = "file_damaged"


class Interrupted(EngineError):
    """The computation was stopped before it was finished."""

    code = "interrupted"
    retryable = True


class DiskFull(EngineError):
    """The disk or a quota is full; nothing was changed."""

    code = "disk_full"


class WorkspaceBusy(EngineError):
    """Another process held the catalogue for too long; nothing was changed."""

    code = "workspace_busy"
    retryable = True


class ConfigurationError(FenqunError):
    """A setting is missing or wrong."""

    code = "configuration"


class InternalError(FenqunError):
    """A bug. The log has the traceback under the incident id; the caller gets only the id."""

    code = "internal_error"
