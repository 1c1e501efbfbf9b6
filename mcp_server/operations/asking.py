"""Asking a person: what a question holds, what an answer can be, and who puts it.

An operation never asks. `consenting.py` does, through the `Ask` of the call: the client's own form over MCP, the
terminal on the command line, nobody where there is nobody.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol

from mcp_server.store.ledger import Way

Mode = Literal["ask", "token", "never"]


@dataclass(frozen=True, slots=True)
class Consenting:
    """How consent is given: chosen by the operator."""

    mode: Mode = "ask"
    platforms: frozenset[str] = frozenset({"local"})
    """Where a mode other than `ask` holds; anywhere else people are asked."""

    def on(self, platform: str) -> Mode:
        return self.mode if platform in self.platforms else "ask"


class Answer(Enum):
    """What came of a question. Only YES is consent."""

    YES = "yes"
    NO = "no"
    CLOSED = "closed"
    """Dismissed, or not answered in time."""
    UNCLEAR = "unclear"
    """Accepted, but what was filled in does not say yes."""
    IMPOSSIBLE = "impossible"
    """Nobody could be asked after all."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question for a person, in the language of the call."""

    consent: str
    """Id of the consent that a yes will open."""
    words: str
    seconds: float
    """How long an answer counts."""


class Suspended(Exception):
    """No error: the protocol answers by calling again. This call ends with the question, and changes nothing."""

    def __init__(self, question: Question) -> None:
        super().__init__(question.consent)
        self.question = question


class Ask(Protocol):
    """Puts a question to the person behind a call."""

    @property
    def possible(self) -> bool:
        """Whether there is anybody to ask."""
        ...

    @property
    def way(self) -> Way:
        """How the consent of this person is recorded."""
        ...

    @property
    def earlier(self) -> str:
        """The consent that an earlier round of this call asked for; empty in a first round."""
        ...

    @property
    def by(self) -> str:
        """Who answers, where that is somebody else than the caller."""
        ...

    async def __call__(self, question: Question, /) -> Answer:
        """Ask. Raises `Suspended` where the answer will come with another call."""
        ...


@dataclass(frozen=True, slots=True)
class Said:
    """An answer that is known already: a person's `--yes` on his own command line, or a click on a page that showed
    the question."""

    answer: Answer = Answer.YES
    by: str = ""
    earlier: str = ""
    way: Way = "asked"
    possible: bool = True

    async def __call__(self, _: Question) -> Answer:
        return self.answer


NOBODY = Said(Answer.IMPOSSIBLE, possible=False)
"""There is nobody to ask."""
