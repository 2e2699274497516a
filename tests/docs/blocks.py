"""The blocks of code in README and docs, as one pastes them."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from tests.places import DOCS, ROOT

PAGES = (ROOT / "README.md", *sorted(DOCS.glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md")

FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?:(?<=\n\n)|(?<=\A))(?: {4}.*\n|\n(?= {4}))+", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """What stands between two fences."""

    page: str
    language: str
    text: str

    @property
    def first_line(self) -> str:
        return self.text.partition("\n")[0]

    def __str__(self) -> str:
        return f"{self.page}: {self.first_line[:60]}"


def fenced_blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page; one within a list is moved to the left, as a browser copies it."""
    found = FENCED.findall(page.read_text())
    return [Block(page.name, language, textwrap.dedent(text)) for _, language, text in found]


def indented_lines(page: Path) -> list[str]:
    """Return what stands in blocks that are made by indenting alone, line by line."""
    text = re.sub(FENCED, "", page.read_text())
    return [line.strip() for block in INDENTED.findall(text) for line in block.splitlines()]
