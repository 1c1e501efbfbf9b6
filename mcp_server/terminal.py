"""What a terminal shows: progress bars on stderr, and the layout of the demo."""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mcp_server.text import NOTHING, Language, Text

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


YES = frozenset({"yes", "y", "是", "好", "确认"})
"""What counts as a yes that is typed."""


def at_terminal() -> bool:
    """Whether a person reads what is asked and types the answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


class Bar:
    """A progress bar that appears with the first report and is gone at the end."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._shown: tuple[Progress, TaskID] | None = None
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._shown:
            self._shown[0].stop()
            self._shown = None

    @contextmanager
    def away(self) -> Iterator[None]:
        """Take the bar away while a person is asked; reports in the meantime are dropped."""
        self._terminal, terminal = False, self._terminal
        if self._shown:
            self._shown[0].stop()
            self._shown = None
        try:
            yield
        finally:
            self._terminal = terminal

    async def report(self, percent: float, message: Text) -> None:
        """Progress as operations report it."""
        self.show(percent, message)

    def show(self, percent: float, message: Text = NOTHING) -> None:
        """Percent 0 to 100, and what is going on."""
        if self._terminal:
            progress, task = self._shown or self._started()
            progress.update(task, completed=percent, description=message.say(self._language))

    def _started(self) -> "tuple[Progress, TaskID]":
        from rich.console import Console
        from rich.progress import Progress

        progress = Progress(console=Console(stderr=True), transient=True)
        progress.start()
        self._shown = (progress, progress.add_task("", total=100))
        return self._shown


# The layout of the demo: at most 80 columns, Chinese aligned, colour only on a terminal. Files and pipes get plain text
# without control characters; what the output cannot encode is drawn in ASCII.


WIDTH = 80
"""Columns that are used at most."""
BAR = 24
"""Columns of a full bar."""
MARGIN = "  "
_NAME = 11

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_ASCII = str.maketrans(
    {"█": "#", "░": ".", "─": "-", "│": "|", "→": "->", "·": "-", "–": "-", "×": "x", "…": "~", "“": '"', "”": '"'}
    | dict.fromkeys(_EIGHTHS[1:8], ":")
)
_PIECE = re.compile(r"\s+|[（“《]*(?:[^\s\u2e80-\u9fff\uff00-\uffef（“《]+|.)[，。、；：？！）”》]*")
"""What stays together on a line: a word, or one Chinese character, with the punctuation that belongs to it."""

_YOU = Text("You", "你")


class Screen:
    """Prints the parts of the demo."""

    def __init__(self, language: Language) -> None:
        from rich.console import Console

        terminal = sys.stdout.isatty()
        # Given explicitly: variables such as FORCE_COLOR would put control characters into a file.
        self._console = Console(highlight=False, force_terminal=terminal, force_interactive=terminal)
        self._language = language
        self._width = min(WIDTH, self._console.width)

    # parts

    def title(self, words: Text) -> None:
        self._line(words.say(self._language), "bold")
        self._line("─" * self._width, "dim")

    def step(self, number: int, heading: Text) -> None:
        self._line()
        self._line(f"{number}  {heading.say(self._language)}", "bold")

    def person(self, words: Text) -> None:
        """Print what the person says to the assistant."""
        you = _YOU.say(self._language)
        colon = Text(": ", "：").say(self._language)
        self._wrapped(f"{words.say(self._language)}”", "cyan", before=f"{you}{colon}“")

    def call(self, tool: str, arguments: Mapping[str, object]) -> None:
        """Print a tool and its arguments on one line, as far as they fit."""
        brief = {name: value if name not in _LONG else _ABBREVIATED for name, value in arguments.items()}
        shown = json.dumps(brief, ensure_ascii=False, separators=(",", ":")) if brief else ""
        line = f"→ {tool} {shown.replace(json.dumps(_ABBREVIATED), '{…}')}".rstrip()
        self._line(MARGIN + cut(line, self._width - len(MARGIN)), "green")

    def say(self, words: Text, indent: int = 0) -> None:
        """Print a paragraph."""
        self._wrapped(words.say(self._language), before=" " * indent)

    def item(self, words: Text, mark: str = "· ") -> None:
        """Print one entry of a list."""
        self._wrapped(words.say(self._language), before=mark)

    def exactly(self, line: str) -> None:
        """Print a line to be copied: never wrapped."""
        self._line(MARGIN + line)

    def fact(self, name: Text, value: Text) -> None:
        """Print a name and its value; the value is never wrapped."""
        self._line(f"{MARGIN}{padded(name.say(self._language), _NAME)}{value.say(self._language)}")

    def bar(self, percent: float, words: Text) -> None:
        """Print a bar that is drawn once."""
        self._line(f"{MARGIN}{blocks(percent / 100, track='░')} {percent:3.0f}%  {words.say(self._language)}")

    def table(self, head: Sequence[Text], rows: Sequence[Sequence[str]], *, wide: int = 0) -> None:
        """Print cells in columns; the column `wide` takes the room that is left and is wrapped. Numbers are on the right."""
        lines = [[h.say(self._language) for h in head], *map(list, rows)]
        widths = [max(map(cells, column)) for column in zip(*lines, strict=True)]
        room = self._width - len(MARGIN) - sum(widths) - 2 * (len(widths) - 1) + widths[wide]
        widths[wide] = min(widths[wide], max(room, 10))
        right = [all(_NUMBER.fullmatch(row[i]) for row in rows) for i in range(len(widths))]
        for n, row in enumerate(lines):
            parts = [
                wrap(cell, width) if i == wide else [cell]
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            for m in range(max(map(len, parts))):
                texts = [part[m] if m < len(part) else "" for part in parts]
                done = [padded(t, w, right=r) for t, w, r in zip(texts, widths, right, strict=True)]
                self._line((MARGIN + "  ".join(done)).rstrip(), "" if n else "dim")

    def blank(self) -> None:
        self._line()

    # lines

    def _wrapped(self, words: str, style: str = "", before: str = "") -> None:
        """Lines that begin with `before`: all of them where it is a bar at the side, else the first."""
        after = before if before.startswith("│") else " " * cells(before)
        for n, line in enumerate(wrap(words, self._width - len(MARGIN) - cells(before))):
            self._line(f"{MARGIN}{after if n else before}{line}", style)

    def _line(self, words: str = "", style: str = "") -> None:
        from rich.text import Text as Styled

        clean = "".join(c if c.isprintable() else "?" for c in words)
        try:
            clean.encode(self._console.encoding)
        except (UnicodeEncodeError, LookupError):
            clean = clean.translate(_ASCII)
        with self._console.capture() as drawn:
            self._console.print(Styled(clean, style=style), soft_wrap=True)
        # Not printed by rich, which ends the process on a broken pipe; cli.main handles that.
        sys.stdout.write(drawn.get())
        sys.stdout.flush()


_LONG = ("qp", "tag_qp", "ids")
"""Arguments that are not shown in a call: definitions, which are shown in words, and lists."""
_ABBREVIATED = "\0"
_NUMBER = re.compile(r"(?:-?(?:0|[1-9][0-9,]*)(?:\.[0-9]+)?%?)?")


def cells(words: str) -> int:
    """Columns that the words take on a terminal; a Chinese character takes two."""
    from rich.cells import cell_len

    return cell_len(words)


def padded(words: str, width: int, *, right: bool = False) -> str:
    fill = " " * (width - cells(words))
    return fill + words if right else words + fill


def cut(words: str, width: int) -> str:
    """The words, or their beginning and an ellipsis."""
    from rich.cells import set_cell_size

    return words if cells(words) <= width else set_cell_size(words, width - 1).rstrip(" …") + "…"


def blocks(share: float, track: str = " ") -> str:
    """A bar for a share from 0 to 1, in eighths of a column; something is never drawn as nothing."""
    eighths = round(min(max(share, 0.0), 1.0) * BAR * 8)
    if share > 0:
        eighths = max(eighths, 1)
    drawn = "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
    return drawn + track * (BAR - len(drawn))


def wrap(words: str, width: int) -> list[str]:
    """Lines of at most `width` columns.

    Chinese breaks between any two characters, but never before closing or after opening punctuation. A word
    that is longer than a line stays whole.
    """
    lines, line = [], ""
    for match in _PIECE.finditer(words):
        piece = match[0]
        if line and cells(line) + cells(piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece if line else piece.lstrip()
    return [*lines, line.rstrip()]
