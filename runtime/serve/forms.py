"""What can be clicked on the page, as HTML: buttons for classes, and hard pictures with those they may belong to."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Protocol
from urllib.parse import quote

from edgevit.runtime.serve.hard import HardPicture, HardPictures
from edgevit.text import printable

MOST_BUTTONS = 12
"""Classes that have a button each; of more, one is typed."""


class Clicks(Protocol):
    """What the buttons below the picture do."""

    @property
    def labels(self) -> Sequence[str]:
        """Classes, each a button."""

    def counts(self) -> Mapping[str, int]:
        """Tell how many pictures of each class there are."""

    def keep(self, label: str) -> str:
        """Keep the picture that is shown; return what to tell.

        Raises:
            ValueError: there is no such class, or no picture.
            OSError: it cannot be written.
        """


def buttons(secret: str, clicks: Clicks | None) -> str:
    """Return the form below the picture; nothing where there is none."""
    if clicks is None:
        return ""
    choices = "".join(_button(label) for label in clicks.labels)
    return (
        f'<form class="classes" method="post" action="keep">{_secret(secret)}{choices}'
        '<p class="said" role="status">look, click, and it is saved</p></form>'
    )


def collected(clicks: Clicks) -> str:
    """Return how many pictures of each class there are."""
    counts = clicks.counts()
    rows = "".join(
        f'<tr><th>{_text(label)}</th><td class="number">{count:,}</td></tr>' for label, count in counts.items()
    )
    total = f'<tr><th>all</th><td class="number">{sum(counts.values()):,}</td></tr>'
    return f'<section class="card"><h2>Collected</h2><table>{rows}{total}</table></section>'


def hard_section(secret: str, hard: HardPictures) -> str:
    """Return the hard pictures that wait for their class; nothing where none are kept."""
    if not hard.kept:
        return ""
    figures = "".join(_figure(secret, picture, hard.labels) for picture in hard.newest())
    body = f'<div class="hard">{figures}</div>' if figures else '<p class="none">none wait</p>'
    # boxes are no classes of the whole picture: they are corrected in a tool for that
    heading = "Hard pictures: what do they show?" if hard.labels else "Hard pictures, with labels to correct"
    return f'<section class="card"><h2>{heading}</h2>{body}</section>'


def _figure(secret: str, picture: HardPicture, labels: Sequence[str]) -> str:
    guess = picture.path.stem.partition("-")[2]
    if len(labels) <= MOST_BUTTONS:
        choices = "".join(_button(label) for label in labels)
    else:
        options = "".join(f'<option value="{_text(label)}">{_text(label)}</option>' for label in labels)
        choices = f'<select name="label" aria-label="class">{options}</select><button>save</button>'
    return (
        f'<form method="post" action="sort">{_secret(secret)}'
        f'<input type="hidden" name="name" value="{_text(picture.name)}">'
        f'<img src="hard.jpg?name={quote(picture.name)}" alt="{_text(guess)}" loading="lazy">'
        f'<p class="guess">{_text(guess)}</p><div class="choices">{choices}</div></form>'
    )


def _button(label: str) -> str:
    return f'<button name="label" value="{escape(label)}">{_text(label)}</button>'


def _secret(secret: str) -> str:
    return f'<input type="hidden" name="secret" value="{escape(secret)}">'


def _text(text: str) -> str:
    return escape(printable(text))
