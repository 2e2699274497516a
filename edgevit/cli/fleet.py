"""`edgevit fleet`: many boards."""

import click

from edgevit.cli import fleet_site
from edgevit.cli.sections import CommandGroup

EXAMPLES = """\b
edgevit fleet init farm/
edgevit fleet publish farm/ farm.onnx --as farm.onnx --channel canary
edgevit fleet promote farm/ farm.onnx --from canary --to stable --percent 10
edgevit fleet check https://example.org/farm/
"""


@click.group("fleet", cls=CommandGroup, epilog=EXAMPLES)
def command() -> None:
    """Give many boards their models: signed files on any web server, bucket or USB stick.

    See docs/fleet.md.
    """


fleet_site.add_to(command)
