"""People at a client: what they answer when the server asks."""

from typing import Any

from mcp_types import ElicitResult


async def says_yes(_: object, question: Any) -> ElicitResult:
    """Reads the question, and wants it."""
    assert question.message
    return ElicitResult(action="accept", content={"answer": "yes"})
