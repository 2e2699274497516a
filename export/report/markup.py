"""Pieces of a page that is built without jinja2, so that a board can write it too; every text in it is escaped."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from edgevit.export.report.place import MARK
from edgevit.system.files import replacing_output
from edgevit.text import printable

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
PAGE_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:0 auto;padding:1rem}"
    "h1{font-size:1.5rem;overflow-wrap:anywhere}h2{margin-top:2.5rem;overflow-wrap:anywhere}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse}th,td{padding:.3rem .8rem;text-align:right;"
    "border-top:1px solid #8886}th:first-child{text-align:left;font-weight:400}thead th{font-weight:600}"
    ".photos{display:grid;grid-template-columns:repeat(auto-fill,minmax(8rem,1fr));gap:1rem;padding:0;list-style:none}"
    ".photos img{display:block;width:100%;aspect-ratio:1;object-fit:contain;background:#8882}"
    "small{overflow-wrap:anywhere;opacity:.75}"
)


def page(title: str, style: str, body: str) -> str:
    """Return a page that needs no network; title and body are markup."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{MARK}'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{title}</title><style>{PAGE_STYLE}{style}</style></head><body><h1>{title}</h1>{body}</body></html>\n"
    )


def write_page(markup: str, path: Path) -> None:
    """Write a page.

    Raises:
        OutputError: the file cannot be written.
    """
    with replacing_output(path) as temporary:
        # a file name may hold what is no UTF-8
        temporary.write_bytes(markup.encode("utf-8", "replace"))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the cells are markup."""
    head = "".join(f"<th>{text}</th>" for text in heads)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{text}</td>" for text in others)}</tr>'
        for first, *others in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def share(value: float | None) -> str:
    """Return a share as per cent, empty for none."""
    return "" if value is None else f"{value:.1%}"


def plain(text: str) -> str:
    """Return text as markup."""
    return escape(printable(text))


def short_path(path: str) -> str:
    """Return the last two parts of a path as markup."""
    return plain("/".join(Path(path).parts[-2:]))


def jpeg_uri(data: bytes) -> str:
    """Return a JPEG as the address of an image."""
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
