"""Where the pages of export and training are filled in: every text escaped, and nothing that is missing passed over."""

from pathlib import Path

import jinja2


def page_environment(folder: Path) -> jinja2.Environment:
    """Return the environment of the templates in a folder."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
