"""`edgevit fleet`: many boards."""

import click

from edgevit.cli import fleet_site, fleet_watch
from edgevit.cli.sections import CommandGroup

EXAMPLES = """\b
edgevit fleet list mqtt://broker/farm
edgevit fleet forget mqtt://broker/farm/pen3
edgevit fleet init site
edgevit fleet publish site farm.onnx --as farm.onnx --channel canary
edgevit fleet promote site farm.onnx --from canary --to stable --percent 10
edgevit fleet check https://example.org/site
"""


@click.group("fleet", cls=CommandGroup, epilog=EXAMPLES)
def command() -> None:
    """See what many boards run, and give them their models: signed files on any web server, bucket or USB stick.

    See docs/fleet.md.
    """


fleet_watch.add_to(command)
fleet_site.add_to(command)
