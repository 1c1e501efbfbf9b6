"""Problems and warnings about what a definition asks of ThinkingData beyond its documentation."""

from collections.abc import Mapping

from mcp_server.qp.code import Code, problem, warning

# fmt: off
REMOTE_CODES: Mapping[str, Code] = {
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
