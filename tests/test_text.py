"""Lists in sentences."""

from mcp_server.text import Text, clauses, listed


def test_a_list_has_the_signs_of_each_language() -> None:
    assert listed(["a", 2, Text("three", "三")]) == Text("a, 2, three", "a、2、三")
    assert clauses([Text("a, b", "a、b"), "c"]) == Text("a, b; c", "a、b；c")
    assert listed([]) == Text("", "")
