"""A workspace with one small project, made without loading files: four players and what they bought."""

from datetime import date
from pathlib import Path

import duckdb

from mcp_server.language.metadata import Event, Metadata, Names, Property, ValueCount
from mcp_server.store.catalog import Catalog
from mcp_server.store.workspace import Workspace

BUYERS = {"events": [{"eventName": "buy", "comparator": "greater", "num": "1", "taPropQuota": {"analysis": "TIMES"}}]}
"""A definition that selects players 1 and 2."""

_TABLES = """
CREATE TABLE users AS SELECT * FROM (VALUES (1::BIGINT, 3::BIGINT, '上海'), (2, 5, NULL), (3, 3, 'a|b'), (4, NULL, '')) t("#user_id", level, city);
CREATE TABLE events AS SELECT row_number() OVER () - 1 AS "$row", * FROM (VALUES
  (1::BIGINT, 'buy', TIMESTAMP '2026-07-01 04:00:00', 2.5::DOUBLE), (1, 'buy', TIMESTAMP '2026-07-02 04:00:00', 1.0),
  (2, 'buy', TIMESTAMP '2026-07-02 04:00:00', 9.0), (2, 'buy', TIMESTAMP '2026-07-03 04:00:00', NULL),
  (3, 'buy', TIMESTAMP '2026-07-03 04:00:00', 4.0), (4, 'login', TIMESTAMP '2026-07-03 04:00:00', NULL)
) t("#user_id", "#event_name", "#event_time", price);
CREATE TABLE ids (kind VARCHAR, value VARCHAR, user_id BIGINT);
"""

_METADATA = Metadata(
    project_id="1",
    today=date(2026, 7, 4),
    as_of=date(2026, 7, 4),
    users=4,
    rows=6,
    events=(
        Event(name="buy", names=Names(en="Purchase", zh="购买"), count=5, users=3, first="2026-07-01 12:00:00", last="2026-07-03 12:00:00"),
        Event(name="login", names=Names(en="Login", zh="登录"), count=1, users=1, first="2026-07-03 12:00:00", last="2026-07-03 12:00:00"),
    ),
    properties=(
        Property(table="event", name="price", type="number", low="1", high="9", distinct=4, null_share=0.2, events=("buy",)),
        Property(table="user", name="level", type="number", scale=0, names=Names(en="Level", zh="等级"), low="3", high="5", distinct=2),
        Property(table="user", name="city", type="string", distinct=3, top=(ValueCount("上海", 1), ValueCount("a|b", 1), ValueCount("", 1))),
    ),
)  # fmt: skip


def make(root: Path) -> Path:
    """Fill the workspace; its folder."""
    workspace = Workspace.open(root)
    catalog = Catalog(workspace)
    temp, final = workspace.temp_path(".duckdb"), workspace.result_path(workspace.data, "project_1", ".duckdb")
    with duckdb.connect(str(temp)) as connection:
        connection.execute(_TABLES)
    workspace.publish(temp, final)
    catalog.publish_generation(_METADATA, [workspace.relative(final)], {"unknown_user_rows": 0})
    catalog.close()
    workspace.close()
    return root
