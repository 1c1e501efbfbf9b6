"""The words that SQL written by users may use: functions, constructs, and what to write for words of other engines.

Everything is an allow-list. A function is on it when it works on the values of a row, a group or a window and its
result is not much larger than what it is given. Left out are functions that

* make much from nothing (`repeat`, `range`, `printf`, `list_resize`, `to_base`, `bar`): a few characters of SQL must not fill
  the memory; `lpad` and `rpad` are held to a constant width;
* read files, settings, secrets, other tables or the catalogue, run SQL that a text holds, write a log, or wait;
* give another answer each time (`now`, `random`, `uuid`): a cluster is a function of the data and the project's day, so
  `current_date` and `today()` are the project's today.
"""

from collections.abc import Mapping

from mcp_server.text import Text


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_AGGREGATES = """
    any_value approx_count_distinct approx_quantile arbitrary arg_max arg_max_null arg_min arg_min_null argmax argmin
    array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count count_if countif covar_pop covar_samp entropy favg first
    fsum geomean geometric_mean group_concat grouping histogram kahan_sum kurtosis kurtosis_pop last list listagg mad max max_by
    mean median min min_by mode product quantile quantile_cont quantile_disc percentile_cont percentile_disc regr_avgx regr_avgy
    regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy sem skewness stddev stddev_pop stddev_samp
    string_agg sum sumkahan var_pop var_samp variance wavg weighted_avg
"""
_WINDOWS = """
    cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank rank_dense row_number
"""
_CONDITIONS = "coalesce greatest if ifnull least nullif try"
_NUMBERS = """
    abs acos add asin atan atan2 bit_count cbrt ceil ceiling cos cot degrees divide even exp fdiv floor fmod gcd
    greatest_common_divisor isfinite isinf isnan lcm least_common_multiple ln log log10 log2 mod multiply pi pow power radians
    round round_even roundbankers sign sin sqrt subtract tan trunc xor
"""
_STRINGS = """
    ascii bit_length char_length character_length chr concat concat_ws contains damerau_levenshtein editdist3 encode decode
    ends_with from_base64 from_hex hamming hash hex instr jaccard jaro_similarity jaro_winkler_similarity lcase left
    left_grapheme len length length_grapheme levenshtein lower lpad ltrim md5 mismatches nfc_normalize octet_length ord overlay
    position prefix regexp_extract regexp_extract_all regexp_full_match regexp_matches regexp_replace regexp_split_to_array
    replace reverse right right_grapheme rpad rtrim sha1 sha256 split split_part starts_with str_split str_split_regex
    string_split string_split_regex string_to_array strip_accents strlen strpos substr substring substring_grapheme suffix
    to_base64 to_hex translate trim ucase unhex unicode upper url_decode url_encode
"""
_TIMES = """
    century current_date date date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname
    dayofmonth dayofweek dayofyear days_in_month decade epoch epoch_ms epoch_us hour isodow isoyear julian last_day make_date
    make_time make_timestamp microsecond millisecond minute month monthname quarter second strftime strptime time_bucket
    timezone to_centuries to_days to_decades to_hours to_microseconds to_millennia to_milliseconds to_minutes
    to_months to_quarters to_seconds to_timestamp to_weeks to_years today try_strptime week weekday weekofyear year yearweek
"""
_LISTS = """
    apply array_append array_cat array_concat array_contains array_distinct array_extract array_filter array_has
    array_has_all array_has_any array_indexof array_intersect array_length array_position array_prepend array_reduce
    array_reverse array_reverse_sort array_select array_slice array_sort array_to_string array_transform array_unique
    array_value array_where array_zip cardinality element_at filter flatten list_any_value list_append list_apply list_avg
    list_bool_and list_bool_or list_cat list_concat list_contains list_count list_distinct list_element list_extract list_filter
    list_first list_has list_has_all list_has_any list_indexof list_intersect list_last list_max list_median list_min list_mode
    list_pack list_position list_prepend list_product list_reduce list_reverse list_reverse_sort list_select list_slice
    list_sort list_stddev_pop list_stddev_samp list_string_agg list_sum list_transform list_unique list_value list_where
    list_zip map map_concat map_contains map_entries map_extract map_extract_value map_from_entries map_keys map_values
    reduce row struct_extract struct_pack unnest
"""
_TRINO = "arrays_overlap bitwise_and bitwise_or_agg regexp_like"
"""Words of the vendor's platform that the project's tables come with (`trino.MACROS`)."""
_JSON = """
    json_array_length json_contains json_exists json_extract json_extract_path json_extract_path_text json_extract_string
    json_keys json_type json_valid json_value to_json typeof
"""

FUNCTIONS = frozenset(
    " ".join((_AGGREGATES, _WINDOWS, _CONDITIONS, _NUMBERS, _STRINGS, _TIMES, _LISTS, _TRINO, _JSON)).split()
)
"""Names of functions as they are written, in lower case."""

WIDTH_LIMIT = 1000
PADDING = frozenset({"lpad", "rpad"})
"""Functions whose second argument is a constant of at most WIDTH_LIMIT."""

CONSTRUCTS = _set(
    """
    add alias aliases all and any array attimezone between binary bitwiseand bitwiseleftshift bitwisenot bitwiseor
    bitwiserightshift bitwisexor boolean bracket case cast column comprehension concat cte cube currentdate datatype
    datatypeparam distinct div dot dpipe eq escape except exists
    explode extract filter from group groupingsets gt gte having identifier if ignorenulls ilike in
    intdiv intersect interval intervalspan is join jsonextract jsonextractscalar jsonpath jsonpathkey jsonpathroot
    jsonpathsubscript jsonpathwildcard kwarg lambda lateral like limit literal lt lte map mod mul neg neq not null nullsafeeq
    nullsafeneq offset or order ordered paren pow propertyeq qualify rawstring regexpilike regexplike respectnulls rollup
    select similarto slice star struct sub subquery substring table tablealias tomap trim trycast try tuple union
    unnest values var where window windowspec with withingroup xor
    """
)
"""Kinds of nodes of the parsed tree that are no functions, or are written in a form of their own."""

PREFIXES = frozenset({("", ""), ("", "ta"), ("hive", "ta")})
"""Catalogue and schema that may prefix a table of the project, as on the vendor's platform."""


def table_names(project_id: str) -> frozenset[str]:
    """Return the tables of a project, in lower case: names of tables ignore case."""
    return frozenset(f"{kind}_{project_id}".lower() for kind in ("v_event", "v_user", "user_result_cluster"))


ENGINE_FUNCTIONS = FUNCTIONS | _set(
    """
    + - * / // % ** ^ || ~~ !~~ ~~* !~~* ~~~ @ & | << >> ~ ! ^@ && @> <@ -> ->> count_star like_escape not_like_escape
    ilike_escape not_ilike_escape
    """
)
"""What the engine's own tree calls functions: operators as well."""
ENGINE_EXPRESSIONS = _set(
    """
    BETWEEN CASE CAST COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION LAMBDA LAMBDA_REF OPERATOR STAR SUBQUERY TYPE WINDOW
    """
)
"""Classes of expressions in the engine's own tree."""
ENGINE_NODES = _set(
    """
    ASCENDING BASE_TABLE CTE_NODE DESCENDING DISTINCT_MODIFIER EMPTY EXPRESSION_LIST JOIN LIMIT_MODIFIER ORDER_DEFAULT
    ORDER_MODIFIER SELECT_NODE SET_OPERATION_NODE SUBQUERY TABLE_FUNCTION
    """
)
"""Types of everything else in the engine's own tree: queries, sources of rows, modifiers."""

_DAY = Text(
    "A cluster counts by whole days: use current_date, the project's today.",
    "分群按整天计算：请用 current_date（项目的今天）。",
)
_CHANCE = Text(
    'A cluster must not change by chance; hash("#user_id") % 100 gives a stable share.',
    '分群结果不能随机变化；可用 hash("#user_id") % 100 稳定抽样。',
)
_ROWS = Text("Rows come from the project's tables only.", "数据行只能来自本项目的表。")


def _use(form: str) -> Text:
    return Text(f"Write {form}.", f"请写成 {form}。")


SESSION_WORDS = frozenset(
    {
        "current_catalog", "current_database", "current_localtime", "current_localtimestamp", "current_role", "current_schema",
        "current_time", "current_timestamp", "current_user", "localtime", "localtimestamp", "session_user",
    }
)  # fmt: skip
"""Words that the engine takes for functions of the session or the moment where they are no column, quoted or not."""

HINTS: Mapping[str, Text] = {
    **dict.fromkeys(
        ("now", "current_timestamp", "localtimestamp", "current_time", "localtime", "get_current_timestamp",
         "transaction_timestamp", "current_localtime", "current_localtimestamp", "ago"), _DAY),
    **dict.fromkeys(("random", "rand", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "setseed"), _CHANCE),
    **dict.fromkeys(("range", "generate_series", "sequence", "generate_subscripts", "repeat"), _ROWS),
    # Trino's spellings, which the vendor's platform takes.
    "approx_distinct": _use("approx_count_distinct(x)"),
    "approx_percentile": _use("approx_quantile(x, 0.5)"),
    "array_join": _use("array_to_string(list, ',')"),
    "age": _use("date_diff('day', earlier, later)"),
    "any_match": _use("len(list_filter(list, lambda x: …)) > 0"),
    "bitwise_or": _use("a | b"),
    "codepoint": _use("unicode(text)"),
    "date_format": _use("strftime(time, '%Y-%m-%d %H:%M:%S')"),
    "date_parse": _use("strptime(text, '%Y-%m-%d')"),
    "day_of_week": _use("isodow(time)"),
    "dow": _use("isodow(time)"),
    "day_of_month": _use("day(time)"),
    "day_of_year": _use("dayofyear(time)"),
    "every": _use("bool_and(x)"),
    "format": _use("concat(a, b)"),
    "format_datetime": _use("strftime(time, '%Y-%m-%d %H:%M:%S')"),
    "from_iso8601_date": _use("CAST(text AS DATE)"),
    "from_iso8601_timestamp": _use("CAST(text AS TIMESTAMPTZ)"),
    "from_unixtime": _use("to_timestamp(seconds)"),
    "json_extract_scalar": _use("json_extract_string(json, '$.key')"),
    "json_parse": _use("CAST(text AS JSON)"),
    "nvl": _use("coalesce(a, b)"),
    "parse_datetime": _use("strptime(text, '%Y-%m-%d %H:%M:%S')"),
    "printf": _use("concat(a, b)"),
    "regexp_split": _use("regexp_split_to_array(text, pattern)"),
    "to_char": _use("strftime(time, '%Y-%m-%d')"),
    "to_date": _use("CAST(text AS DATE)"),
    "to_unixtime": _use("epoch(time)"),
    "truncate": _use("trunc(x)"),
    "year_of_week": _use("isoyear(time)"),
}  # fmt: skip
"""What to write instead, for functions of other engines that people often use."""
