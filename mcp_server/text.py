"""A sentence in both languages.

Everything a user reads exists in English and in Chinese, side by side in one place, so that neither
can fall behind. Code below the fronts passes `Text` around and never asks which language is wanted;
the fronts choose when they render.
"""

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


def listed(items: "list[Text]") -> Text:
    """Items joined by commas."""
    return Text(", ".join(t.en for t in items), "、".join(t.zh for t in items))


NOTHING = Text("", "")
