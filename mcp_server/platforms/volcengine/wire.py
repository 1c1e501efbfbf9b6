"""What goes out to Volcengine's voice service: JSON, signed, action and version in the query.

Quirks, each with a test of its own (tests/vendors/test_volcengine_wire.py):

* VE1 Action and Version stand in the query, never in the body (vendors.md B1).
* VE2 the bytes that are hashed are the bytes that are sent, and the query that is signed is the query that is sent.
* VE3 weekdays are 1 = Sunday to 7 = Saturday (B6); our names become numbers in calls/wire.py, which makes the body.
* VE4 `Recall` is sent with the redial settings, and false without them: left out it may switch redialling off (B6).
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mcp_server.platforms.transport import Outgoing
from mcp_server.platforms.volcengine.signing import Keys, Request, Scope, authorization, body_hash, canonical_query

SERVICE = "vms"
VERSION = "2022-01-01"
UPDATE = "UpdateTask"
LIST = "QueryTaskList"


def post(action: str, body: Mapping[str, Any], host: str, keys: Keys, region: str, now: datetime) -> Outgoing:
    """A call, ready to be sent (VE1, VE2)."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    query = (("Action", action), ("Version", VERSION))
    headers = {
        "Content-Type": "application/json",
        "Host": host,
        "X-Content-Sha256": body_hash(content),
        "X-Date": now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"),
    }
    if keys.session_token:
        headers["X-Security-Token"] = keys.session_token
    request = Request("POST", "/", query, headers, content)
    headers["Authorization"] = authorization(request, keys, Scope(region, SERVICE))
    return Outgoing("POST", f"/?{canonical_query(query)}", headers, content)
