"""The part of `edgevit fleet` that makes and signs the folder from which boards take their models."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgevit.cli.completion import complete_files, complete_model_files
from edgevit.cli.sections import Command, CommandGroup
from edgevit.cli.terminal import echo, say
from edgevit.errors import GateError

if TYPE_CHECKING:
    from edgevit.fleet.rollout import Rollout
    from edgevit.fleet.site import Site

_folder = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path), shell_complete=complete_files)
_keys = click.option(
    "--keys",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FOLDER",
    help="Where the private keys are; may be given several times.  [default: DIR-keys beside DIR]",
)
_name = click.argument("name", metavar="NAME")
_percent = click.option(
    "--percent", type=int, default=100, show_default=True, metavar="N", help="Share of the boards that take it."
)
_days = click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=30,
    show_default=True,
    metavar="N",
    help="How long boards accept it unrenewed.",
)


@click.command("init", cls=Command)
@_folder
@_keys
@_days
@click.option(
    "--root-keys",
    type=click.IntRange(1, 9),
    default=1,
    show_default=True,
    metavar="N",
    help="Keys that replace others.",
)
@click.option(
    "--threshold", type=int, default=1, show_default=True, metavar="N", help="How many of them must sign together."
)
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
    echo(f"next: edgevit fleet publish {shlex.quote(str(folder))} MODEL --as farm.onnx --channel stable", err=True)


@click.command("publish", cls=Command)
@_folder
@click.argument("model", type=click.Path(path_type=Path), shell_complete=complete_model_files)
@click.option("--as", "name", required=True, metavar="NAME", help="What the boards call it, such as farm.onnx.")
@click.option(
    "--channel",
    required=True,
    metavar="CHANNEL",
    help="For the boards that follow it, such as canary; made if it is new.",
)
@_percent
@_keys
def publish(folder: Path, model: Path, name: str, channel: str, percent: int, keys: tuple[Path, ...]) -> None:
    """Sign MODEL and put it into DIR, for the boards that follow a channel.

    Publish the same model again with a higher --percent to give it to more boards.
    """
    with _opened(folder, keys) as site:
        from edgevit.fleet.publish import publish

        _tell(folder, site, publish(site, model, name, channel, percent))


@click.command("promote", cls=Command)
@_folder
@_name
@click.option("--from", "source", metavar="CHANNEL", help="Where the boards have it.  [default: that of --to]")
@click.option("--to", "channel", required=True, metavar="CHANNEL", help="Whose boards get it, too.")
@_percent
@_keys
def promote(folder: Path, name: str, source: str | None, channel: str, percent: int, keys: tuple[Path, ...]) -> None:
    """Give the model NAME of one channel to the boards of another, or to more boards of the same one."""
    with _opened(folder, keys) as site:
        from edgevit.fleet.publish import promote

        _tell(folder, site, promote(site, name, source or channel, channel, percent))


@click.command("rollback", cls=Command)
@_folder
@_name
@click.option("--channel", required=True, metavar="CHANNEL", help="Whose boards go back.")
@click.option("--to", "version", type=int, metavar="VERSION", help="Which earlier one.  [default: the one before]")
@_keys
def rollback(folder: Path, name: str, channel: str, version: int | None, keys: tuple[Path, ...]) -> None:
    """Give all boards of a channel the model that NAME was before; it gets a new version, as boards never go down."""
    with _opened(folder, keys) as site:
        from edgevit.fleet.publish import rollback

        _tell(folder, site, rollback(site, name, channel, version))


@click.command("renew", cls=Command)
@_folder
@_days
@_keys
def renew(folder: Path, days: int, keys: tuple[Path, ...]) -> None:
    """Sign the site anew before it expires; let a timer do it once a day, and upload.

    Exit code 3 if a part whose key is elsewhere expires within a week; all others are renewed.
    """
    with _opened(folder, keys) as site:
        from edgevit.fleet.upkeep import renew

        renewal = renew(site, _after(days))
    echo(f"{folder}: accepted until {_after(days):%Y-%m-%d}; renewed: {', '.join(renewal.renewed) or 'no channel yet'}")
    for name, expires in renewal.left.items():
        say(f"{name} expires on {expires:%Y-%m-%d}; its key is not here: renew it where it is")
    if renewal.root_expires < _after(365):
        rotate = f"edgevit fleet rotate {shlex.quote(str(folder))}"
        say(f"the site's first keys expire on {renewal.root_expires:%Y-%m-%d}; run: {rotate}")
    echo(f"next: upload {folder}; see docs/fleet.md", err=True)
    if late := [name for name, expires in renewal.left.items() if expires < _after(7)]:
        raise GateError(f"renewed but for {', '.join(late)}, which boards refuse within a week; upload all the same")


@click.command("rotate", cls=Command)
@_folder
@click.option("--channel", metavar="CHANNEL", help="Replace this channel's key alone.")
@_keys
def rotate(folder: Path, channel: str | None, keys: tuple[Path, ...]) -> None:
    """Replace the keys, all or a channel's; boards follow by themselves, even those that are off for months.

    For keys that were stolen or lost, and before the first ones expire.
    """
    with _opened(folder, keys) as site:
        from edgevit.fleet.upkeep import rotate

        rotate(site, [channel] if channel else [])
        place = site.keys.folders[0]
    echo(f"{folder}: {f'the key of {channel} is' if channel else 'all keys are'} new")
    say(f"BACK UP {place} again; keys that are no longer used lie in {place / 'replaced'}")
    echo(f"next: upload {folder}; see docs/fleet.md", err=True)


@click.command("prune", cls=Command)
@_folder
@click.option(
    "--keep", type=click.IntRange(0, 9), default=3, show_default=True, metavar="N", help="Earlier models of each name."
)
@_keys
def prune(folder: Path, keep: int, keys: tuple[Path, ...]) -> None:
    """Remove models that no board takes and no rollback needs, and outdated documents."""
    with _opened(folder, keys) as site:
        from edgevit.fleet.upkeep import prune

        removed = prune(site, keep)
    for path, _ in removed:
        echo(str(path))
    echo(f"{len(removed)} files removed, {sum(size for _, size in removed) / 1e6:.1f} MB", err=True)


@click.command("check", cls=Command)
@click.argument("address", metavar="URL")
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The owner's KEYS/1.root.json, to see whose site it is.",
)
def check(address: str, root: Path | None) -> None:
    """Fetch everything as boards would from URL (https://, http://, file:// or a folder), and say what would go wrong.

    Exit code 3 if boards could not use it.
    """
    with _site_tools():
        from edgevit.fleet.check import check_site
        from edgevit.fleet.hosts import open_host
        from edgevit.fleet.reading import read_first_root
        from edgevit.fleet.site import clock

    first_root = None if root is None else read_first_root(root)
    failed = 0
    for finding in check_site(open_host(address), first_root, clock()):
        echo(f"{finding.level:8}{finding.text}")
        failed += finding.level == "failed"
    if failed:
        raise GateError(f"boards could not use {address}: {failed} of the lines above failed")


def add_to(group: CommandGroup) -> None:
    """Add these commands to `edgevit fleet`."""
    for command in (init, publish, promote, rollback, renew, rotate, prune, check):
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


def _tell(folder: Path, site: "Site", rollout: "Rollout") -> None:
    share = "" if rollout.percent == 100 else f", for {rollout.percent} % of the boards"
    echo(f"{rollout.path}: version {rollout.edition.version}, sha256 {rollout.edition.sha256[:8]}{share}")
    echo(f"next: upload {folder}, targets/ first and metadata/timestamp.json last; see docs/fleet.md", err=True)
    channel = rollout.path.partition("/")[0]
    if site.channel(channel).version == 1:
        say(f"{channel} is a new channel; its key is new, too: back up the keys again")
