"""The table of problems and warnings (qp.md section 8), one row per code, and how they are made.

A *problem* blocks; a *warning* never does. `{got}`, `{expected}` and `{suggestion}` of a row are filled from the finding
itself, other names from keywords.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mcp_server.errors import Problem
from mcp_server.language.values import MAX_DIGITS, MAX_PLACES
from mcp_server.text import Text, same


class Code(NamedTuple):
    """A row: whether it blocks, and its sentence."""

    blocks: bool
    text: Text


def problem(en: str, zh: str) -> Code:
    """A row that blocks."""
    return Code(True, Text(en, zh))


def warning(en: str, zh: str) -> Code:
    """A row that never blocks."""
    return Code(False, Text(en, zh))


# fmt: off
CODES: Mapping[str, Code] = {
    # shape
    "json_invalid": problem(
        "The text is not valid JSON ({detail}). Send the definition as a JSON object.",
        "这段文字不是合法的 JSON（{detail}）。请把定义作为 JSON 对象传入。"),
    "type_wrong": problem("Expected {expected} here.", "此处应为{expected}。"),
    "key_unknown": problem("This key does not exist here. Legal keys: {expected}.", "此处没有这个键。可用的键：{expected}。"),
    "key_missing": problem("The key {expected} is missing.{hint}", "缺少键 {expected}。{hint}"),
    "text_invalid": problem(
        "The text holds characters that are not valid Unicode; send it again as plain text.",
        "文本中含有非法的 Unicode 字符；请重新以普通文本传入。"),
    "name_empty": problem("The name is empty. Use describe_data to find names.", "名称为空。可用 describe_data 查找名称。"),
    "definition_wrapped": problem(
        "The definition is one level too deep: send what is under {key} itself.", "定义外面多套了一层：请直接传入 {key} 里面的内容。"),
    "condition_bare": problem(
        "This is one condition, not a definition: put it into the list {key}.", "这是单个条件，不是完整的定义：请放进 {key} 列表。"),
    "definition_empty": problem(
        "The definition has no condition. Give at least one entry in events or filts.",
        "定义中没有任何条件。请在 events 或 filts 中至少给出一项。"),
    "definition_too_large": problem(
        "Too large: at most {limit}. Split it, or use clusters that you create first.",
        "超出上限：最多 {limit}。请拆分定义，或先分别创建分群。"),
    "group_empty": problem("This group (COMPOUND) has no filts; remove it or fill it.", "该嵌套组（COMPOUND）没有 filts；请删除或补全。"),
    "group_mixed": problem(
        "A group has only filterType, relation and filts. A condition has no relation of its own: relation belongs beside "
        "the list of the conditions that it joins.",
        "嵌套组只含 filterType、relation、filts。单个条件自身不带 relation：relation 应与它所连接的条件列表并列。"),
    "filter_type_unknown": problem(
        'filterType is "COMPOUND" for a nested group and absent for a condition.',
        "filterType 只在嵌套组中写 \"COMPOUND\"，单个条件不写。"),
    # words
    "comparator_unknown": problem(
        "This comparator does not exist. Legal here: {expected}.", "没有这个比较符。此处可用：{expected}。"),
    "comparator_not_for_type": problem(
        "{word} does not fit {name} ({type}). Legal: {expected}.", "{word} 不能用于 {name}（{type}）。可用：{expected}。"),
    "comparator_only_in_event": problem(
        "This comparator compares with the time of an event; it is legal only in the filts of an event.",
        "该比较符以事件时间为基准，只能用在事件内的 filts 中。"),
    "comparator_only_of_cluster": problem(
        "Only a cluster has members; write tableType cluster.", "只有分群才有成员；tableType 应写 cluster。"),
    "analysis_unknown": problem("This analysis does not exist. Legal: {expected}.", "没有这个分析角度。可用：{expected}。"),
    "analysis_not_per_user": problem(
        "This analysis measures a whole population and means nothing for one user. Per user: {expected}.",
        "该分析角度统计的是全体用户，对单个用户没有意义。按用户可用：{expected}。"),
    "relation_unknown": problem('A relation is "and" or "or".', "关系只能是 \"and\" 或 \"or\"。"),
    "table_unknown": problem("tableType must be {expected} here.", "此处 tableType 只能是 {expected}。"),
    "cluster_in_event": problem(
        "Clusters and tags are conditions on users: put this filter into the filts at the top, beside events.",
        "分群和标签是针对用户的条件：请把该筛选放进与 events 并列的顶层 filts。"),
    "time_unit_unknown": problem("timeUnit is minute, hour or day.", "timeUnit 只能是 minute、hour 或 day。"),
    "time_unit_unexpected": problem(
        "timeUnit belongs only to the relativeEvent comparators; remove it.", "timeUnit 只用于 relativeEvent 系列比较符；请删除。"),
    # values
    "ftv_count": problem("{word} takes {expected}; {count} given.", "{word} 的 ftv 应{expected}；现有 {count} 个。"),
    "ftv_null": problem(
        "null is not a value. To ask for users without a value use the comparator isNull.",
        "null 不是值。若要筛选无值的用户，请用比较符 isNull。"),
    "value_type": problem("Expected here: {expected}; {name} is a {type}.", "此处应为{expected}；{name} 是{type}。"),
    "range_invalid": problem("The lower value is greater than the upper one; swap them.", "下限大于上限；请对调。"),
    "regex_invalid": problem(
        "The pattern is not valid RE2 ({detail}). Look-around and back-references do not exist there.",
        "该正则不符合 RE2 语法（{detail}）。RE2 不支持环视和反向引用。"),
    "num_invalid": problem(
        'num is a number as text, such as "4", or "low,high" for range.', "num 是文本形式的数字，如 \"4\"；range 时写成 \"下限,上限\"。"),
    "num_too_long": problem(
        f"A number has at most {MAX_DIGITS} digits, {MAX_PLACES} of them after the point.", f"数字最多 {MAX_DIGITS} 位，其中小数最多 {MAX_PLACES} 位。"),
    "num_count": problem("{word} takes {expected} in num.", "{word} 的 num 应为{expected}。"),
    "window_invalid": problem("Not a window: {why}.", "时间窗无效：{why}。"),
    "quota_missing": problem(
        "{word} needs quota: the event property to compute over.", "{word} 需要 quota，即要统计的事件属性。"),
    "quota_unexpected": problem("TIMES counts rows and takes no quota; remove it.", "TIMES 统计次数，不带 quota；请删除。"),
    "quota_type": problem(
        "{word} needs a property of type {expected}; {name} is a {type}.", "{word} 需要{expected}类型的属性；{name} 是{type}。"),
    "quota_of_users": problem(
        "{name} is a user property; a measure is taken over a property of the event.",
        "{name} 是用户属性；指标只能基于该事件的属性统计。"),
    # names
    "event_unknown": problem(
        "No event has this name. Use describe_data to find events.", "没有这个事件。可用 describe_data 查找事件。"),
    "property_unknown": problem(
        "No {table} has this name. Use describe_data to find properties.", "没有这个{table}。可用 describe_data 查找属性。"),
    "property_in_other_table": problem(
        "{name} is a {table}; write tableType {suggestion}.", "{name} 是{table}；tableType 应写 {suggestion}。"),
    "property_of_events": problem(
        "{name} is an event property; put this filter into the filts of an event condition.",
        "{name} 是事件属性；请把该筛选放进某个事件条件的 filts 中。"),
    "name_invalid": problem(
        "A cluster name is a letter, then letters, digits and underscores, at most {most} characters. Put words into display_name.",
        "分群名称须以字母开头，只含字母、数字、下划线，最多 {most} 个字符。其他文字请写入 display_name。"),
    "display_name_invalid": problem(
        "A display name has 1 to {most} characters, not only blanks, on one line.",
        "显示名称为 1 至 {most} 个字符，不能全是空白，不能换行。"),
    "cluster_type_unknown": problem(
        "cluster_type is {expected}: static is computed when asked, dynamic follows the day and the data by itself.",
        "cluster_type 可为 {expected}：static 在要求时计算，dynamic 随日期和数据自动更新。"),
    "body_two_definitions": problem(
        "The body holds two definitions; keep {expected} and remove {got}.", "请求体中有两个定义；请保留 {expected}，删除 {got}。"),
    "body_contradiction": problem(
        "This does not fit the definition in the body; expected {expected}.", "这与请求体中的定义不符；应为 {expected}。"),
    "result_only_clusters": problem(
        "A result cluster joins existing clusters: only filts with tableType cluster, belongToCluster or notBelongToCluster.",
        "结果分群由已有分群运算得到：只能用 tableType 为 cluster 的 filts，比较符为 belongToCluster 或 notBelongToCluster。"),
    "tag_given": problem(
        "This defines a tag (tagQp); tags are made with create_tag and changed with update_tag.",
        "这是标签的定义（tagQp）；新建标签请用 create_tag，修改请用 update_tag。"),
    "cluster_given": problem(
        "This defines a cluster (qp); clusters are made with create_cluster and changed with update_cluster. "
        "In a tag it can be the userClusterDef of one value.",
        "这是分群的定义（qp）；新建分群请用 create_cluster，修改请用 update_cluster。在标签中，它可以作为某个标签值的 userClusterDef。"),
    "tag_kind": problem(
        "A tag is defined by exactly one of userTagValueDefs, userTagConFirstLastEventDef and userTagConQuotaDef.",
        "标签定义须在 userTagValueDefs、userTagConFirstLastEventDef、userTagConQuotaDef 中取且只取一种。"),
    "tag_value_twice": problem(
        "The value is at {other} already. Join both conditions in one value, or give this one another text.",
        "该标签值在 {other} 已出现。请把两处条件合并到一个标签值，或改用其他标签值。"),
    "tag_calculation": problem("isCalc must be false: the property's own value is taken.", "isCalc 只能为 false，即直接取属性值。"),
    "tag_type_unknown": problem('type is "normal".', "type 只能是 \"normal\"。"),
    "tag_property_list": problem("{name} is a list; a tag takes one value.", "{name} 是列表；标签只能取单个值。"),
    "cluster_unknown": problem(
        "There is no cluster or tag of this name. Use list_clusters to find them.", "没有这个名称的分群或标签。可用 list_clusters 查找。"),
    "cluster_not_ready": problem(
        "{name} was never computed; call refresh_cluster first.", "{name} 尚未计算；请先调用 refresh_cluster。"),
    "cluster_cycle": problem(
        "{name} depends on {own} itself: a definition may not reach itself through clusters.",
        "{name} 本身依赖 {own}；定义不能通过分群绕回自身。"),
    "cluster_date_invalid": problem("specifiedClusterDate is a day, yyyy-MM-dd.", "specifiedClusterDate 是日期，格式 yyyy-MM-dd。"),
    "cluster_date_unknown": problem(
        "No version of {name} is kept for that day. Kept: {expected}.", "{name} 没有保留该日的版本。现有：{expected}。"),
    "cluster_date_unexpected": problem(
        "specifiedClusterDate belongs only to clusters and tags; remove it.", "specifiedClusterDate 只用于分群和标签；请删除。"),
    "definition_two_forms": problem(
        "A definition is either conditions or sql, not both; remove {got}, or remove sql.",
        "定义要么用条件，要么用 sql，不能并用；请删除 {got}，或删除 sql。"),
    "cluster_type_form": problem(
        "{got} does not fit a definition by {form}: those are of type {expected}, and a type never changes.",
        "{got} 与定义方式（{form}）不符：其类型应为 {expected}，且创建后不能更改。"),
    # SQL
    "sql_empty": problem(
        'The SQL is empty. Write one SELECT that returns "#user_id".', "SQL 为空。请写一条返回 \"#user_id\" 的 SELECT。"),
    "sql_too_long": problem(
        "The SQL is too long: at most {limit} characters. Keep long lists of users as a cluster and read that.",
        "SQL 过长：最多 {limit} 个字符。较长的用户名单可先存成分群再引用。"),
    "sql_too_deep": problem(
        "The SQL is nested too deeply or too entangled to be read (at most {limit} brackets inside each other). "
        "Take it apart with WITH, and give every JOIN its ON.",
        "SQL 嵌套过深或结构过于复杂，无法解析（括号最多嵌套 {limit} 层）。请用 WITH 拆开，并为每个 JOIN 写上 ON。"),
    "sql_invalid": problem("The SQL cannot be read: {detail}.", "无法解析该 SQL：{detail}。"),
    "sql_several": problem(
        "Only one statement may be given; remove what is after the first semicolon.",
        "只能有一条语句；请删除第一个分号之后的内容。"),
    "sql_not_select": problem(
        "Only a SELECT (also WITH … SELECT) may be given, not {got}.", "只能写 SELECT（或 WITH … SELECT），不能写 {got}。"),
    "sql_recursive": problem(
        "WITH RECURSIVE is not allowed; write plain WITH.", "不支持 WITH RECURSIVE；请用普通的 WITH。"),
    "sql_construct_refused": problem(
        "{got} is not allowed here; use plain SELECT with joins, sub-queries, CASE and window functions.",
        "此处不能使用 {got}；请用普通的 SELECT，可含连接、子查询、CASE 和窗口函数。"),
    "sql_table_unknown": problem(
        "There is no table {got} in this project. Readable: {expected}.", "本项目没有表 {got}。可读的表：{expected}。"),
    "sql_table_function": problem(
        "{got}() cannot be read from. Readable are only the tables {expected}.",
        "不能从 {got}() 读取数据。只能读这些表：{expected}。"),
    "sql_function_refused": problem("The function {got} may not be used.{hint}", "不能使用函数 {got}。{hint}"),
    "sql_function_size": problem(
        "{got} needs a constant width of at most {limit} here.", "{got} 的宽度须为常数，且不超过 {limit}。"),
    "sql_parameter_refused": problem(
        "{got} cannot be used here. The only parameter is ${{PartDate:name}}, a whole condition, outside quotes.",
        "此处不能写 {got}。唯一可用的参数是 ${{PartDate:名称}}，它是一个完整的条件，不能放在引号里。"),
    "sql_parameter_missing": problem(
        'The parameter {got} has no value. Give recentDay "A-B", or the first and the last day.',
        "参数 {got} 没有取值。请给出 recentDay（\"A-B\"），或起止日期。"),
    "sql_parameter_unused": problem(
        "The SQL has no parameter {got}. Remove its value or write ${{PartDate:{got}}}.",
        "SQL 中没有参数 {got}。请删除该取值，或在 SQL 中写 ${{PartDate:{got}}}。"),
    "sql_parameter_value": problem(
        'The value of {name} is recentDay "A-B" ("1-7" the past seven days without today), or two days yyyy-MM-dd, the first '
        "not after the last.",
        "{name} 的取值应为 recentDay（\"A-B\"，如 \"1-7\" 为过去 7 天不含今天），或两个日期 yyyy-MM-dd，且起不晚于止。"),
    "sql_columns": problem("The result must have {expected}; it has {got}.", "结果应为{expected}；现有 {got} 列。"),
    "sql_id_column": problem(
        'The first column of the result must be called "#user_id". Write … {suggestion}.',
        "结果的第一列必须名为 \"#user_id\"。请写 … {suggestion}。"),
    "sql_id_type": problem(
        '"#user_id" of the result must be whole numbers; here it is {got}.',
        "结果的 \"#user_id\" 必须是整数；现为 {got}。"),
    "sql_value_type": problem(
        "A tag's value is a text, a number, a bool or a time; here it is {got}. Convert it, for example CAST(x AS VARCHAR).",
        "标签值只能是文本、数值、布尔或时间；现为 {got}。请转换，例如 CAST(x AS VARCHAR)。"),
    "sql_value_long": problem(
        "A tag's value has at most {limit} characters; here one has {got}.", "标签值最多 {limit} 个字符；这里出现了 {got} 个字符的值。"),
    "sql_two_values": problem(
        'A tag gives a user one value. Users with several: {count}, such as {got}. Aggregate: GROUP BY "#user_id".',
        "标签对每个用户只能有一个值；有 {count} 个用户出现多个值，如 {got}。请按 \"#user_id\" 分组汇总。"),
    "sql_column_unknown": problem(
        "No column {got} exists here. Columns such as #user_id are written in double quotes.",
        "此处没有列 {got}。#user_id 这类列名要放在双引号里。"),
    "sql_failed": problem("The engine cannot run this SQL: {detail}", "引擎无法执行该 SQL：{detail}"),
    "sql_cluster_unknown": problem(
        "There is no cluster or tag {got} that could be read. Use list_clusters to find them.",
        "没有可读取的分群或标签 {got}。可用 list_clusters 查找。"),
    # crowd analysis tasks
    "crowd_time_invalid": problem(
        "Not a time. Write yyyy-MM-dd HH:mm:ss, in Beijing time.", "不是合法的时间。请写成 yyyy-MM-dd HH:mm:ss（北京时间）。"),
    "crowd_other": problem("The task belongs to another crowd.", "该任务属于另一个人群。"),
    "crowd_id_needed": problem(
        "This platform knows tasks only by their crowd: give crowd_id.", "该平台只能按人群查找任务：请给出 crowd_id。"),
    "crowd_id_not_number": problem("On this platform ids are whole numbers.", "该平台的 id 是整数。"),
    "crowd_end_before_start": problem(
        "The end lies before the start, {start}.", "结束时间早于开始时间 {start}。"),
    "crowd_end_not_later": problem(
        "The task has ended; only an end later than now ({now}) extends it.",
        "任务已结束；只有晚于当前时间（{now}）的结束时间才能延长它。"),
    # uploaded ids
    "ids_source": problem(
        "Give the ids either in a file (path) or, at most {most} of them, in the call (ids).",
        "ID 只能二选一：放在文件中（path），或直接写在调用里（ids，最多 {most} 个）。"),
    "ids_too_many": problem(
        "{count} ids; at most {most} may be given in a call, since long lists get cut in a chat. Write them, one to a line, "
        "into a CSV file, {way}.",
        "共 {count} 个 ID；调用中最多直接给出 {most} 个，因为长名单在对话中会被截断。请按每行一个写成 CSV 文件，{way}。"),
    "ids_path": problem("{why} Files are taken only from: {expected}.", "{why}只能读取以下文件夹中的文件：{expected}。"),
    "ids_not_text": problem(
        "This is {expected}, not text. Save it as CSV (in Excel: 'CSV UTF-8') and give that file.",
        "这不是文本，而是：{expected}。请另存为 CSV（Excel 中选择“CSV UTF-8”）后再传入。"),
    "ids_encoding": problem(
        "Line {line} is neither UTF-8 nor GBK. Save the file as UTF-8.", "第 {line} 行既不是 UTF-8 也不是 GBK。请将文件另存为 UTF-8。"),
    "ids_quote": problem(
        "A quotation mark in line {line} does not fit: it is never closed, or something follows it. Quotes enclose a "
        "whole value; one inside it is doubled.",
        "第 {line} 行的引号有误：没有闭合，或闭合后还有内容。引号须括住整个值，值内的引号写成两个。"),
    "ids_line": problem(
        "The file has a line too long to be a row (over {most} MB). Write one id to a line.",
        "文件中有过长的行（超过 {most} MB）。请每行写一个 ID。"),
    "ids_column": problem(
        "The first row has no column \"{got}\". Leave column out where the first column has the ids.",
        "第一行没有列“{got}”。若 ID 在第一列，请不要填写 column。"),
    "ids_column_elsewhere": problem(
        "On this platform the file has ids in its first column, without a header; column is of use on this machine only.",
        "该平台只接受 ID 在第一列且不带表头的文件；column 仅适用于本机。"),
    "ids_empty": problem("There is no id in it.", "其中没有任何 ID。"),
    "main_column_type": problem(
        "{name} can't be the main column; give a user property of type text or number, not #user_id, such as {suggestion}.",
        "{name} 不能作为关联属性；请使用文本或数值类型的用户属性（#user_id 除外），例如 {suggestion}。"),
    # warnings
    "crowd_validity_over": warning(
        "The validity is over (now: {now}): the task counts as ended, and the crowd can't be loaded again unless it is extended.",
        "有效期已过（当前时间：{now}）：任务视为已结束，延长有效期之前无法重新加载人群。"),
    "recent_day_six": warning(
        '"{got}" is {days} days with today; {full} days with today would be "{better}".',
        "\"{got}\" 是含今天的 {days} 天。含今天的 {full} 天应写 \"{better}\"。"),
    "window_both": warning(
        "recentDay and dates are both given; recentDay counts and the dates are ignored.",
        "同时给出了 recentDay 和起止时间；以 recentDay 为准，忽略起止时间。"),
    "window_outside_data": warning(
        "The window {window} lies outside the data of {event} ({first} to {last}).",
        "时间窗 {window} 不在事件 {event} 的数据范围内（{first} 至 {last}）。"),
    "relation_idle": warning(
        'This "or" joins nothing: there is only one condition beside it. Events and users are joined by event_user_relation, here "and".',
        "此处的 \"or\" 未连接任何条件，因为同级只有一个条件。事件与用户条件之间由 event_user_relation 连接，目前为 \"and\"。"),
    "bare_date": warning(
        "A date without a time is its midnight: {meaning}. The whole day is range with the date twice.",
        "只写日期表示当天零点：{meaning}。若要整天，请用 range，上下限都写该日期。"),
    "fraction_on_count": warning(
        "A count is a whole number; compared with a fraction.", "计数是整数，这里却与小数比较。"),
    "property_not_on_event": warning(
        "{event} never carries {name}; the condition sees it missing on every row. Events that carry it: {expected}.",
        "事件 {event} 从不带属性 {name}，该条件在每一行上都视为无值。带有该属性的事件：{expected}。"),
    "value_unseen": warning(
        "No {table} {name} {has} “{got}”.{hint}", "{table} {name} 没有{has}“{got}”。{hint}"),
    "midnight_end": warning(
        "The end {got} takes in the whole day {last}. If the window is to stop when that day begins, write the end "
        "{before}.",
        "结束时间 {got} 包含 {last} 全天。若要在当天零点结束，请写 {before}。"),
    "distinct_instants": warning(
        "DISTINCT of the time {name} counts different instants, not days. Days are counted in SQL: "
        "count(DISTINCT CAST(\"{name}\" AS date)).",
        "对时间 {name} 用 DISTINCT 统计的是不同的时刻，不是天数。按天统计请用 SQL：count(DISTINCT CAST(\"{name}\" AS date))。"),
    "selects_nobody": warning("This selects nobody.{why}", "选不出任何用户。{why}"),
    "value_for_nobody": warning(
        "No user gets this value: nobody fits it, or earlier values come first.",
        "没有用户得到该标签值：没有人符合，或已先取了前面的值。"),
    "selects_everybody": warning("This condition selects every user.", "该条件选中全部用户。"),
    "body_other_project": warning(
        "The body is of project {got}; it was checked against project {expected}, the one that is open.",
        "请求体属于项目 {got}；这里是按当前项目 {expected} 检查的。"),
    "condition_twice": warning("The same condition is at {other} as well.", "同样的条件在 {other} 已出现。"),
    "sql_no_part_date": warning(
        '{got} is read without a condition on "$part_date", so every day is read. Write ${{PartDate:name}}, or '
        "\"$part_date\" BETWEEN 'yyyy-MM-dd' AND 'yyyy-MM-dd'.",
        "读取 {got} 时没有限定 \"$part_date\"，因此会读取所有日期。请加上 ${{PartDate:名称}}，或 \"$part_date\" BETWEEN 'yyyy-MM-dd' "
        "AND 'yyyy-MM-dd'。"),
    "sql_all_clusters": warning(
        "{got} is read without cluster_name = 'name' or cluster_name IN (…), so every cluster and tag is loaded for it, "
        "as it is then; a later change of one of them does not make this definition out of date.",
        "读取 {got} 时没有用 cluster_name = '名称' 或 cluster_name IN (…) 限定，因此要载入计算时的全部分群和标签；此后它们有变化，本定义不会因此视为过期。"),
    "sql_local_only": warning(
        "SQL is computed on the local platform only: ThinkingData publishes no request body for it.",
        "SQL 只能在本地平台计算：ThinkingData 没有公开相应的请求体。"),
    "same_users": warning(
        "{name} holds exactly the same users now; use it instead, unless the two are to part later.",
        "{name} 目前的用户与此完全相同；除非以后会有差别，可直接使用它。"),
    "ids_column_taken": warning(
        "The header names {got}: the ids were read as values of {got}, not of {wanted}.", "表头为 {got}：已按 {got} 的取值读取，而不是 {wanted}。"),
    "ids_nearly": warning(
        "{n} of {all} unmatched ids would match {how}.", "{all} 个未匹配的 ID 中，有 {n} 个{how}即可匹配。"),
    "ids_no_match": warning(
        "No user has any of these ids as {column}.{hint}", "没有任何用户的 {column} 是这些 ID。{hint}"),
    "ids_header": warning(
        'The first line, "{got}", {note}', "第一行“{got}”{note}"),
    "ids_delimiter": warning(
        "Unmatched ids hold {mark} ({n} of them), which separates nothing. Columns are separated by commas.",
        "{n} 个未匹配的 ID 中含有{mark}，它不起分隔作用。列与列之间用英文逗号分隔。"),
    "ids_rounded": warning(
        'A spreadsheet has shortened unmatched ids ({n} of them) to the form "{got}". Export them as text again.',
        "{n} 个未匹配的 ID 已被电子表格缩写成“{got}”的形式。请以文本格式重新导出。"),
    "ids_zero_bytes": warning(
        "Unmatched ids hold zero bytes ({n} of them); the file may be damaged.", "{n} 个未匹配的 ID 含有空字节（NUL），文件可能已损坏。"),
    "ids_more_columns": warning(
        "Rows with more columns than {expected}: {n}; what follows was not read.",
        "{n} 行的列数超过{expected}列；多出的内容未读取。"),
    "ids_swallowed": warning(
        "Quotes join several lines into one value: {lines} lines in all, the first of them line {line}. If that is not "
        "intended, fix the quotes.",
        "有引号把多行合并成了一个值：共涉及 {lines} 行，始于第 {line} 行。若非本意，请修正引号。"),
    "ids_encoding_gbk": warning(
        "The file is not UTF-8; it was read as GBK.", "文件不是 UTF-8，已按 GBK 读取。"),
    "ids_value_missing": warning(
        "No row has a second column, so nobody gets a value. A tag's file has two: id,value.",
        "所有行都没有第二列，因此没有用户得到标签值。标签文件须有两列：先 ID，后标签值，以英文逗号分隔。"),
    "ids_values_differ": warning(
        "Ids with different values in the file: {n}; the last value wins.", "{n} 个 ID 对应多个不同的值；以最后一个为准。"),
    "ids_shared": warning(
        "Some ids belong to several users, who all count: matched ids {n}, users {users}.",
        "部分 ID 对应多名用户，已全部计入：{n} 个 ID 匹配到 {users} 名用户。"),
    "used_by_others": warning(
        "Others depend on it and change with it: {names}.{hint}", "以下分群或标签以它为条件，会随之变化：{names}。{hint}"),
    "same_meaning": warning(
        "{name} has the same meaning already. Another one is allowed, for instance for another campaign.",
        "已有含义相同的 {name}。仍可另建，例如用于另一次活动。"),
    # what ThinkingData documents
    "word_unverified": warning(
        "ThinkingData does not document {got} here (mark {mark}, docs/platforms.md): it may refuse it, or read it otherwise.",
        "数数平台未公开说明此处的 {got}（标记 {mark}，见 docs/platforms.md）：平台可能拒绝，或作其他理解。"),
    "word_refused": problem(
        "ThinkingData does not document {got} here, and this server sends no such words (unverified_words=refuse).",
        "数数平台未公开说明此处的 {got}，而本服务不发送此类词（unverified_words=refuse）。"),
    "sql_not_here": problem(
        "ThinkingData publishes no request body for SQL definitions: write it as conditions, or create it there.",
        "数数平台未公开 SQL 定义的请求体：请改用条件定义，或在平台上创建。"),
}


# fmt: on


def finding(
    code: str,
    path: str,
    codes: Mapping[str, Code] = CODES,
    /,
    *,
    got: object = "",
    expected: object = "",
    suggestion: str = "",
    **values: object,
) -> Problem:
    """Make the problem or warning of this code for this path."""
    shown = Text(shorten(got.en), shorten(got.zh)) if isinstance(got, Text) else same(shorten(got))
    wanted = expected if isinstance(expected, Text) else same(expected)
    text = codes[code].text.format(got=shown, expected=wanted, suggestion=suggestion, **values)
    return Problem(path, code, text, shown.en, wanted, suggestion)


def shorten(value: object, most: int = 200) -> str:
    """A value fit to be quoted in a message: cut, and without control characters."""
    try:
        as_json = isinstance(value, bool | list | dict)
        text = json.dumps(value, ensure_ascii=False, default=str) if as_json else str(value)
    except (ValueError, RecursionError):  # a whole number of thousands of digits, or nested too deep
        text = "…"
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:most])
    return clean + ("…" if len(text) > most else "")


def pointer(parts: Iterable[str | int]) -> str:
    """Join the steps of a path to a JSON Pointer (RFC 6901)."""
    return "".join("/" + str(p).replace("~", "~0").replace("/", "~1") for p in parts)


def blocking(findings: Sequence[Problem]) -> list[Problem]:
    return [p for p in findings if CODES[p.code].blocks]


def warnings_of(findings: Sequence[Problem]) -> list[Problem]:
    return [p for p in findings if not CODES[p.code].blocks]
