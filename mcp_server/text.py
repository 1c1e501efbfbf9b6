"""A sentence in both languages.

Everything a user reads is in English and in Chinese, side by side in one place, so that neither
can fall behind. Code below `front` passes `Text` around; the language is chosen where it is rendered.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

Language = Literal["en", "zh"]


class Text(NamedTuple):
    """The same words in English and in Chinese."""

    en: str
    zh: str

    def format(self, **values: object) -> "Text":
        """Fill `{name}` places in both languages; a value that is itself a `Text` gives each its own."""
        return Text(
            self.en.format(**{k: v.en if isinstance(v, Text) else v for k, v in values.items()}),
            self.zh.format(**{k: v.zh if isinstance(v, Text) else v for k, v in values.items()}),
        )

    def say(self, language: Language) -> str:
        """The words in one language."""
        return self.zh if language == "zh" else self.en

    def then(self, other: "Text") -> "Text":
        """This sentence followed by another one (Chinese needs no blank between sentences)."""
        return Text(f"{self.en} {other.en}".strip(), f"{self.zh}{other.zh}")


def same(words: object) -> Text:
    """Words that read the same in both languages: a name, a number, a path."""
    return Text(str(words), str(words))


def joined_by(en: str, zh: str, items: Iterable[object]) -> Text:
    """Items with these signs between them; one that is no `Text` reads the same in both languages.

    Lists are joined here and nowhere else (tests/house): a sign typed elsewhere belongs to one language.
    """
    texts = [item if isinstance(item, Text) else same(item) for item in items]
    return Text(en.join(t.en for t in texts), zh.join(t.zh for t in texts))


def listed(items: Iterable[object]) -> Text:
    """Names, values or numbers side by side: `a, b`, in Chinese `a、b`."""
    return joined_by(", ", "、", items)


def clauses(items: Iterable[object]) -> Text:
    """Clauses side by side, which may hold commas of their own."""
    return joined_by("; ", "；", items)


NOTHING = Text("", "")
