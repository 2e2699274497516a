"""The part of `edgevit fleet` that makes and signs the folder from which boards take their models."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgevit.cli.completion import complete_files, complete_model_files
from edgevit.cli.sections import CommandGroup
from edgevit.cli.terminal import echo, say

if TYPE_CHECKING:
    from edgevit.fleet.release import Release
    from edgevit.fleet.site import Site

_folder = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path), shell_complete=complete_files)
_keys = click.option(
    "--keys",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FOLDER",
    help="Where the private keys are; may be given several times.  [default: DIR-keys beside DIR]",
)
_percent = click.option(
    "--percent", type=int, default=100, show_default=True, metavar="N", help="Share of the boards that take it."
)
_days = click.option(
    "--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="How long boards accept it unrenewed."
)


@click.command("init")
@_folder
@_keys
@_days
@click.option("--root-keys", type=click.IntRange(1, 9), default=1, show_default=True, help="Keys that replace others.")
@click.option("--threshold", type=int, default=1, show_default=True, help="How many of them must sign together.")
def init(folder: Path, keys: tuple[Path, ...], days: int, root_keys: int, threshold: int) -> None:
    """Make the folder DIR that boards will take models from, and its private keys in a folder of their own."""
    with _site_tools():
        from edgevit.fleet.create import create_site

    place = create_site(folder, keys, root_keys=root_keys, threshold=threshold, expires=_after(days))
    echo(f"{folder}: a site without models; it must be renewed within {days} days")
    say(
        f"BACK UP {place} and keep it secret, never on the web server: who has these keys decides what your boards run,"
    )
    say("and without them the boards can be told nothing any more")
    if root_keys > 1:
        say(
            f"{threshold} of the {root_keys} files root.*.pem are needed to replace keys: keep them in different places"
        )
    echo(f"next: edgevit fleet publish {folder} MODEL --as farm.onnx --channel stable", err=True)


@click.command("publish")
@_folder
@click.argument("model", type=click.Path(path_type=Path), shell_complete=complete_model_files)
@click.option("--as", "name", required=True, metavar="NAME", help="What the boards call it, such as farm.onnx.")
@click.option("--channel", required=True, help="For the boards that follow it, such as canary; made if it is new.")
@_percent
@_keys
def publish(folder: Path, model: Path, name: str, channel: str, percent: int, keys: tuple[Path, ...]) -> None:
    """Sign MODEL and put it into DIR, for the boards that follow a channel.

    Publish the same model again with a higher --percent to give it to more boards.
    """
    with _opened(folder, keys) as site:
        from edgevit.fleet.publish import publish

        _tell(folder, site, publish(site, model, name, channel, percent))


def add_to(group: CommandGroup) -> None:
    """Add these commands to `edgevit fleet`."""
    for command in (init, publish):
        group.add_command(command)


def _after(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


@contextmanager
def _site_tools() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        from edgevit.errors import MissingExtraError

        if (error.name or "").partition(".")[0] not in ("tuf", "securesystemslib", "cryptography"):
            raise
        raise MissingExtraError(error.name or "tuf", "signing models", "fleet") from error


@contextmanager
def _opened(folder: Path, keys: tuple[Path, ...]) -> Iterator["Site"]:
    with _site_tools():
        from edgevit.fleet.site import open_site
    with open_site(folder, keys) as site:
        yield site


def _tell(folder: Path, site: "Site", release: "Release") -> None:
    share = "" if release.percent == 100 else f", for {release.percent} % of the boards"
    echo(f"{release.path}: version {release.edition.version}, sha256 {release.edition.sha256[:8]}{share}")
    echo(f"next: upload {folder}, targets/ first and metadata/timestamp.json last; see docs/fleet.md", err=True)
    channel = release.path.partition("/")[0]
    if site.channel(channel).version == 1:
        say(f"{channel} is a new channel; its key is new, too: back up the keys again")
