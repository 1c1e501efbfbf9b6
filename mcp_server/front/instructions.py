"""What an assistant is told when it connects: enough to do the whole job with nothing else.

Clients cut it at about 2,000 characters, and where they load tools late it is all that a model sees at
first; so it names the tools in the order of the work.
"""

from mcp_server.text import Language

_INSTRUCTIONS = """\
fenqun (分群) turns a sentence about users into a cluster: a named, refreshable set, defined by what they did (events) and who they are (properties).

Work in this order:
1. describe_data: find exact event names, properties and values, by English or Chinese words. Never guess names.
2. validate_definition: lists every problem of a definition (qp) with path and suggestion, and explains it in words. Mend until none is left; show the user the explanation.
3. preview_definition: its size, and where each condition loses users.
4. create_cluster when the user agrees (dry_run: what would happen). It is computed at once.
5. refresh_cluster, get_refresh_progress: progress 100 is done, -1 failed with the reason.
6. export_users: writes a file; never paste ids into chat.
create_tag, update_tag: a tag gives a user at most one value (tag_qp); all other tools serve tags too.
Crowd analysis: create_crowd_analysis, get_crowd_analysis, list_crowd_analyses, update_crowd_analysis, reload_crowd_analysis, delete_crowd_analysis.
Outbound calls: create_call_task, list_call_tasks, get_call_task, update_call_task.
import_ids, replace_imported_ids: from a list of ids.
list_clusters, get_cluster: what exists. update_cluster, delete_cluster: ask first. restore_cluster undoes.

Traps:
- greater and less are strict: "at least 5 times" is TIMES greater 4; "never did it" is TIMES less 1.
- recentDay, in days back: 1-7 the past seven without today, 0-7 seven with today, 0-1 today. No window: all time.
- Values are texts: num "4", ftv ["3"].
- A missing value matches only isNull, not notEqual.
- A dynamic cluster follows the day and the data; a static one waits for refresh_cluster. `fresh`: up to date.
- Leave out what you don't need, no null or "".
- An error lists problems with path and suggestion: mend those and call again. Repeat an unchanged call only where retryable is true.

Answer in the user's language."""

_READ_ONLY = "This server is read-only: it refuses every change and refresh."
_CHINESE = "Results are in Chinese."


def instructions(*, read_only: bool, language: Language) -> str:
    """At most 2,000 characters."""
    parts = [_INSTRUCTIONS, *([_CHINESE] if language == "zh" else []), *([_READ_ONLY] if read_only else [])]
    return " ".join(parts)
