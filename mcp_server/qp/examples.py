"""One definition of each kind, in the strict form, for the published schemas."""

from mcp_server.qp import keys
from mcp_server.qp.json_schema import Schema

EXAMPLE: Schema = {
    "events": [
        {
            "eventName": "consume_item",
            "comparator": "greater",
            "num": "4",
            "recentDay": "1-7",
            "taPropQuota": {"analysis": "TIMES"},
        }
    ],
    "event_relation": "and",
    "filts": [{"tableType": "user", "columnName": "user_level", "comparator": "equal", "ftv": ["3"]}],
    "relation": "and",
    "event_user_relation": "and",
}
"""The vendor page's own example: more than four items in the past seven days, level 3."""

_ON_ANDROID: Schema = {"tableType": "event", "columnName": "#os", "comparator": "equal", "ftv": ["android"]}
TAG_EXAMPLES: tuple[Schema, ...] = (
    {keys.VALUES: [{"tagValue": "heavy", "userClusterDef": {"events": EXAMPLE["events"]}}]},
    {
        keys.FIRST_LAST: {
            keys.FIRST_LAST_EVENT: {
                "eventName": "pay",
                "isFirstEvent": True,
                "calcPropVo": {"isCalc": False, "property": {"columnName": "#vp@test_num", "tableType": "event"}},
                "recentDay": "0-1",
                "filts": [_ON_ANDROID],
            }
        }
    },
    {
        keys.QUOTA: {
            keys.QUOTA_EVENT: {
                "type": "normal",
                "eventName": "activity_attend",
                "analysis": "DISTINCT",
                "quota": "activity_reward",
                "recentDay": "0-1",
                "filts": [_ON_ANDROID],
            }
        }
    },
)
"""One tag of each kind, after the vendor page's own examples."""

SQL_EXAMPLE: Schema = {
    "sql": 'SELECT "#user_id" FROM v_event_1 WHERE ${PartDate:days} AND "$part_event" = \'consume_item\' '
    'GROUP BY "#user_id" HAVING count(*) > 4',
    "parameters": {"days": "1-7"},
}
"""The first half of `EXAMPLE` as SQL."""
