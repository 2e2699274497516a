"""A photograph with the boxes that are expected in it and those that were found, as a picture for a page."""

from collections.abc import Sequence

from edgevit.errors import ImageError
from edgevit.export.report.markup import jpeg_uri, plain, short_path
from edgevit.export.report.thumbnails import thumbnail
from edgevit.runtime.evaluation.box_difference import BoxDifference, MarkedBox
from edgevit.runtime.images.read import read_image
from edgevit.runtime.images.resample import RGBImage

SIDE = 384
"""Longest side of a photograph in pixels: small things are to be seen."""
BOX_STYLE = (
    ".boxes{display:grid;grid-template-columns:repeat(auto-fill,minmax(16rem,1fr));gap:1rem;padding:0;list-style:none}"
    ".boxes svg{display:block;width:100%;height:auto;background:#8882}"
    ".boxes rect{fill:transparent;stroke-width:2;vector-effect:non-scaling-stroke}"
    ".same{stroke:#19a974}.missed{stroke:#ff9f1c;stroke-dasharray:6 3}.extra{stroke:#e5383b}"
    "i.same,i.missed,i.extra{font-style:normal;border-bottom:3px solid}"
    "i.same{border-color:#19a974}i.missed{border-color:#ff9f1c;border-bottom-style:dashed}i.extra{border-color:#e5383b}"
)
"""CSS for a page with such pictures."""


def box_legend(missed: str, extra: str) -> str:
    """Return a line that says what the colours mean."""
    return (
        f'<p><i class="same">green</i>: found; <i class="missed">dashed</i>: {plain(missed)}; '
        f'<i class="extra">red</i>: {plain(extra)}. A box tells its name under the mouse.</p>'
    )


def box_pictures(differences: Sequence[BoxDifference]) -> str:
    """Return a list of photographs as markup, which needs BOX_STYLE; each is read from its file."""
    return f'<ul class="boxes">{"".join(_picture(one) for one in differences)}</ul>'


def _picture(difference: BoxDifference) -> str:
    """Return one photograph; one that cannot be read any more is shown by its name alone."""
    text = f"{difference.missed} missed, {difference.extra} extra"
    try:
        image = read_image(difference.source)
    except ImageError as error:
        return f"<li><small>{plain(str(error))}</small><b>{text}</b></li>"
    return f"<li>{box_svg(image, difference)}<b>{text}</b><br><small>{short_path(difference.source)}</small></li>"


def box_svg(image: RGBImage, difference: BoxDifference) -> str:
    """Return an (H, W, 3) photograph and the boxes in it as markup, which needs BOX_STYLE."""
    height, width = image.shape[:2]
    boxes = [_box(one, "missed") for one in difference.expected if one.alone]
    boxes += [_box(one, "extra" if one.alone else "same") for one in difference.found]
    text = f"{short_path(difference.source)}: {difference.missed} missed, {difference.extra} extra"
    return (
        f'<svg role="img" aria-label="{text}" viewBox="0 0 {width} {height}">'
        f'<image href="{jpeg_uri(thumbnail(image, SIDE))}" width="{width}" height="{height}"/>{"".join(boxes)}</svg>'
    )


def _box(marked: MarkedBox, kind: str) -> str:
    left, top, right, bottom = marked.box
    text = marked.label if marked.conf is None else f"{marked.label} {marked.conf:.2f}"
    return (
        f'<rect class="{kind}" x="{left:g}" y="{top:g}" width="{right - left:g}" height="{bottom - top:g}">'
        f"<title>{plain(text)}</title></rect>"
    )
