"""Problems and warnings of call tasks: one row per code, like those of definitions (`language/problems.py`).

Sources of the limits: the vendor's page of UpdateTask, and vendors.md B4, B6 and C.
"""

from collections.abc import Mapping

from mcp_server.errors import Problem
from mcp_server.language.problems import Code, problem, warning
from mcp_server.language.problems import finding as finding_of

# fmt: off
CALL_CODES: Mapping[str, Code] = {
    "call_time_invalid": problem(
        "A time is yyyy-MM-dd HH:mm:ss in Beijing time, or with an offset such as +08:00.",
        "时间应写成 yyyy-MM-dd HH:mm:ss（北京时间），或带偏移，如 +08:00。"),
    "call_time_no_clock": problem(
        '"{got}" is a date without a time of day, which the platform does not take: for the {end} of that day in Beijing write '
        '"{suggestion}", or another time.',
        "“{got}”只有日期，没有时刻，平台不接受：如指当天{end}（北京时间），请写“{suggestion}”，或写明具体时刻。"),
    "call_end_not_after_start": problem("The end must be after the start, {expected}.", "结束时间必须晚于开始时间 {expected}。"),
    "call_concurrency": problem("Concurrency is at least 1 and at most {most}.", "并发数至少为 1，至多为 {most}。"),
    "call_redial_times": problem("A callee is redialled 0 to 5 times.", "重呼次数为 0 至 5 次。"),
    "call_redial_interval": problem("Minutes between two attempts are 5 to 1440.", "重呼间隔为 5 至 1440 分钟。"),
    "call_recall_contradicts": problem(
        "recall sets whether redials are changed, which ring_again_times and ring_again_interval contradict. Leave recall out: "
        "it follows from them.",
        "recall 表示是否更新重呼设置，这与 ring_again_times、ring_again_interval 的给出情况不符。请不带 recall，它会自动得出。"),
    "call_both_times": problem(
        "Give call_times or forbid_times, not both: each follows from the other.",
        "call_times 与 forbid_times 只能给一个：两者可互相推出。"),
    "call_weekday_unknown": problem(
        '"{word}" is no weekday: they are named {expected}, a run of them mon-fri. Numbers are not taken, because systems number '
        "weekdays differently.",
        "“{word}”不是星期：星期写作 {expected}，连续几天写作 mon-fri。不接受数字，因为各系统的星期编号不同。"),
    "call_range_invalid": problem(
        '"{word}" is no range of times: HH:MM-HH:MM, such as 10:00-12:00; over midnight 20:00-09:00.',
        "“{word}”不是时段：应写成 HH:MM-HH:MM，如 10:00-12:00；跨零点如 20:00-09:00。"),
    "call_range_empty": problem(
        "{word} starts and ends at the same time. The whole day is 00:00-23:59.", "{word} 起止相同。全天写作 00:00-23:59。"),
    "call_entry_empty": problem(
        "Give weekdays, times or both: weekdays alone mean whole days, times alone mean every day.",
        "请给出星期、时段或两者：只写星期表示整天，只写时段表示每天。"),
    "call_never": problem(
        "call_times is empty, so no call could be made. Leave it out, or give times.",
        "call_times 为空，即任何时间都不能外呼。请不带该参数，或给出时段。"),
    "call_too_many_times": problem("At most {limit} ranges of times.", "最多 {limit} 个时段。"),
    "call_seconds": problem("An attempt is assumed to take 5 to 3600 seconds.", "每次呼叫的假定时长为 5 至 3600 秒。"),
    "call_answer_rate": problem("The share of answered attempts is 0 to 1.", "接通率为 0 至 1。"),
    "call_field_missing": problem(
        "{platform} does not show what is set now, and an update replaces it: give {expected} too.",
        "{platform}无法读取任务的现有设置，而更新会覆盖它们：请一并给出 {expected}。"),
    "call_name_invalid": problem(
        "A name has 1 to {most} characters, not only blanks, on one line.", "名称为 1 至 {most} 个字符，不能全是空白，不能换行。"),
    "call_callees_one_of": problem(
        "Give cluster with callee_property, or ids, and not both.", "请给出 cluster 和 callee_property，或给出 ids，二者只取其一。"),
    "call_property_not_text": problem(
        "{name} is a {type}; the callee is a text property of users. Of phone numbers: load them as text (Parquet, JSON, or CSV "
        "with a plus sign: +86…).",
        "{name} 是{type}；被叫须取用户的文本属性。电话号码请以文本加载（Parquet、JSON，或在 CSV 中带加号：+86…）。"),
    "call_property_unknown": problem(
        "No user property has this name. Use describe_data to find properties.", "没有这个用户属性。可用 describe_data 查找属性。"),
    "call_ids_too_many": problem(
        "At most {limit} ids fit into a call. Make a cluster of them, and give it as cluster.",
        "一次最多给 {limit} 个 id。请先据此建分群，再以 cluster 传入。"),
    "call_id_blank": problem("This id is blank.", "该 id 为空。"),
    "call_nobody": problem("Nobody to call: {why}.", "没有可外呼的对象：{why}。"),
    # warnings
    "call_redials_many": warning(
        "{got} redials: one source of the vendor says at most 3, another 5; the platform may refuse it.",
        "重呼 {got} 次：该厂商的资料一处说最多 3 次，另一处说 5 次；平台可能拒绝。"),
    "call_ends_in_past": warning(
        "The end lies in the past (it is {now} in Beijing).", "结束时间已过（现为北京时间 {now}）。"),
    "call_no_time": warning("No time is left in which a call may start.", "已没有可以发起呼叫的时间。"),
    "call_hours": warning(
        "Calls could be made outside 09:00-20:00 Beijing time; by the practice of platforms (not a law) no calls are made then.",
        "可能在北京时间 09:00-20:00 以外外呼；按平台惯例（非法律规定）这些时间不宜外呼。"),
    "call_noon": warning(
        "Calls could be made at noon, 12:00-14:00; some platforms do not call then.",
        "可能在中午 12:00-14:00 外呼；部分平台此时不外呼。"),
    "call_unfinished": warning(
        "In the worst case the list is not finished before the end: {planned} of {needed} attempts fit. {remedy}",
        "最坏情况下名单在结束前呼不完：{needed} 次呼叫中只能发起 {planned} 次。{remedy}"),
    "call_often_a_day": warning(
        "{count} callee(s) of this list are also on other call tasks and could be tried up to {most} times on one day; the platform's "
        "default is at most 10.",
        "本名单中有 {count} 个被叫同时在其他外呼任务里，一天内最多可能被呼叫 {most} 次；平台默认上限为 10 次。"),
    "call_often_at_once": warning(
        "{count} callee(s) of this list are on {most} tasks that may call within the same 5 minutes; the platform's default is "
        "at most 3 attempts.",
        "本名单中有 {count} 个被叫所在的 {most} 个任务可能在同一个 5 分钟内外呼；平台默认上限为 3 次。"),
    "call_consent": warning(
        "Where the platform makes the calls, real people are called: call only those who agreed, give them an easy way to refuse, and "
        "stop at once when somebody does.",
        "在真正外呼的平台上会有真人接到电话：只呼叫已同意的人，提供便捷的拒绝方式，对方拒绝后立即停止。"),
    "call_without_callee": warning(
        "{count} of {users} users have no value in {name} and are not called.",
        "{users} 名用户中有 {count} 名的 {name} 没有值，不会被呼叫。"),
    "call_same_callee": warning(
        "{count} entries repeat a callee of an earlier entry; each callee is called once.",
        "有 {count} 项的被叫与前面重复；每个被叫只算一个。"),
    "call_cluster_failed": warning(
        "The last computation of the cluster failed; its last good members are the list. {why}",
        "该分群上次计算失败，名单取自上一个可用版本。{why}"),
    "call_cluster_old": warning(
        "The cluster is out of date: {why}. refresh_cluster brings it up to date.", "该分群已过期：{why}。可用 refresh_cluster 更新。"),
}
# fmt: on


def finding(code: str, path: str, /, *, got: object = "", suggestion: str = "", **values: object) -> Problem:
    """A problem or warning of this code at this path."""
    return finding_of(code, path, CALL_CODES, got=got, suggestion=suggestion, **values)
