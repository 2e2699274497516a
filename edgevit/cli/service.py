"""`edgevit service`: the systemd unit that runs `edgevit run` for months."""

import getpass
import grp
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgevit.cli.options import adding
from edgevit.cli.sections import CommandGroup
from edgevit.errors import OptionError

if TYPE_CHECKING:
    from edgevit.runtime.service.unit import Job
    from edgevit.runtime.stream.plan import StreamPlan

EXAMPLES = """\b
edgevit service print farm.onnx camera:0 --every 5s
sudo .venv/bin/edgevit service install farm.onnx picam --every 5s
sudo .venv/bin/edgevit service install farm.onnx picam --to log.jsonl
sudo .venv/bin/edgevit service install --name edgevit-gate farm.onnx camera:1
edgevit service install --user farm.onnx camera:0 --to mqtt://broker/farm/yard
"""

ENDS = {
    "path": "a cron job or a systemd timer with `edgevit run`",
    "video": "a cron job or a systemd timer with `edgevit run`",
    "sequence": "a cron job or a systemd timer with `edgevit run`",
    "stdin": "a camera or stream: a service has no stdin",
}
"""Kinds of sources that no service can go on with, and what to take instead."""

_SETTINGS = {"ignore_unknown_options": True, "allow_interspersed_args": False}
_OPTIONS = (
    click.option("--user", is_flag=True, help="Use your own service manager, without root; see docs/service.md."),
    click.option(
        "--name",
        default="edgevit",
        show_default=True,
        help="Name of the unit, its user and its folder; one for each camera.",
    ),
    click.option("--memory", default="500MB", show_default=True, metavar="SIZE", help="Most that it may use."),
    click.option(
        "--watchdog", metavar="TIME", help="Start anew after so long without a result.  [default: 5m or more]"
    ),
    click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="MODEL SOURCE [RUN OPTIONS...]"),
)


_unit_options = adding(_OPTIONS)


@click.group("service", cls=CommandGroup, epilog=EXAMPLES)
def command() -> None:
    """Write a systemd unit that runs a model on a camera from boot, and starts it anew when no results come.

    What follows MODEL and SOURCE are options of `edgevit run`. See docs/service.md.
    """


@command.command("print", context_settings=_SETTINGS)
@_unit_options
def print_unit(user: bool, name: str, memory: str, watchdog: str | None, arguments: tuple[str, ...]) -> None:
    """Print the unit for `edgevit run MODEL SOURCE ...`."""
    from edgevit.runtime.service.unit import unit_text

    click.echo(unit_text(_job(user, name, memory, watchdog, arguments)), nl=False)
    click.echo("next: edgevit service install, with the same arguments", err=True)


@command.command("install", context_settings=_SETTINGS)
@click.option("--force", is_flag=True, help="Replace a unit that says something else.")
@_unit_options
def install(force: bool, user: bool, name: str, memory: str, watchdog: str | None, arguments: tuple[str, ...]) -> None:
    """Write the unit for `edgevit run MODEL SOURCE ...` where systemd finds it; nothing is started."""
    from edgevit.runtime.service.place import unit_folder, write_unit
    from edgevit.runtime.service.unit import unit_text

    job = _job(user, name, memory, watchdog, arguments)
    path = unit_folder(user) / f"{job.name}.service"
    written = write_unit(path, unit_text(job), force=force)
    click.echo(f"{path} {'was written' if written else 'is as it should be'}", err=True)
    control = "systemctl --user" if user else "sudo systemctl"
    verb = "enable" if not force else "reenable"
    click.echo(
        f"next: {control} daemon-reload && {control} {verb} {job.name} && {control} restart {job.name}", err=True
    )
    if user:
        click.echo(f"next: sudo loginctl enable-linger {getpass.getuser()}  # to run without a login", err=True)
        if _lacks_video_group(job):
            click.echo(f"next: sudo usermod -aG video {getpass.getuser()}  # to open cameras; log in anew", err=True)


def _job(user: bool, name: str, memory: str, watchdog: str | None, arguments: Sequence[str]) -> "Job":
    """Check everything that can be checked before the service runs; raises OptionError and ModelFileError."""
    from edgevit.cli import run
    from edgevit.cli.run_options import take_stream_options
    from edgevit.runtime.backends.session import find_backend
    from edgevit.runtime.destinations import parse_size
    from edgevit.runtime.run.status import result_limit_s
    from edgevit.runtime.service.place import check_readable, needed_folders, readable_folders
    from edgevit.runtime.service.unit import Job, check_name, watchdog_s
    from edgevit.runtime.sources.sampling import parse_duration
    from edgevit.runtime.stream.plan import plan_stream

    given = run.command.make_context("edgevit service", list(arguments)).params
    if list(arguments[:2]) != [os.fspath(given["model"]), given["source"]]:
        raise OptionError("MODEL and SOURCE come first, then the options of `edgevit run`")
    plan = plan_stream(given["source"], take_stream_options(given))
    _check_endless(plan)
    find_backend(given["model"])
    limit_s = result_limit_s(plan.source_options)
    period_s = watchdog_s(plan.source_options) if watchdog is None else parse_duration(watchdog, "--watchdog")
    if period_s < limit_s:
        raise OptionError(
            f"--watchdog is {watchdog}, but with these --every and --stall-timeout a result may take {limit_s:g} s; "
            "give more"
        )
    files = [Path(os.path.abspath(path)) for path in (given["model"], given["labels"]) if path is not None]
    readable: tuple[str, ...] = ()
    if not user:
        _check_places(given)
        for file in files:
            check_readable(file)
        # where a link points to must be there too
        folders = [folder for file in files for folder in (file.parent, file.resolve().parent)]
        readable = readable_folders([*folders, *needed_folders()])
    if plan.source.name != given["source"]:
        click.echo(
            "edgevit: everybody on this machine can read the password in SOURCE, in the unit and in the list of "
            "processes; give the camera a user that may do nothing but watch",
            err=True,
        )
    return Job(
        name=check_name(name),
        command=(sys.executable, "-P", "-m", "edgevit", "run", str(files[0]), *_absolute(arguments[1:], files[1:])),
        about=f"edgevit: {given['model'].name} on {plan.source.name}",
        kind=plan.source.kind,
        watchdog_s=period_s,
        memory=parse_size(memory, "--memory"),
        user=user,
        network=_needs_network(given, plan),
        readable=readable,
    )


def _check_endless(plan: "StreamPlan") -> None:
    if plan.source.kind in ENDS:
        raise OptionError(f"a service goes on, but {plan.source.name} ends; take {ENDS[plan.source.kind]}")
    if plan.max_frames is not None:
        raise OptionError("a service goes on, but --once and --max-frames end; leave them out, or use a systemd timer")


def _check_places(given: dict[str, Any]) -> None:
    """Raise OptionError for an output that the service's own user could not write."""
    from edgevit.runtime.destinations import STDOUT, parse_sink

    targets = [parse_sink(text) for text in given["to"]]
    places = [target.place for target in targets if target.kind not in ("mqtt", "webhook") and target.place != STDOUT]
    places += [str(given[option]) for option in ("harvest", "spool") if given[option] is not None]
    for place in places:
        if Path(place).is_absolute() or ".." in Path(place).parts:
            raise OptionError(
                f"the service may write only below /var/lib/NAME, not to {place}; give a path relative to that, "
                "or use --user"
            )


def _needs_network(given: dict[str, Any], plan: "StreamPlan") -> bool:
    from edgevit.runtime.destinations import parse_sink
    from edgevit.runtime.serve.address import is_loopback, parse_address

    served = given["serve"] is not None and not is_loopback(parse_address(given["serve"])[0])
    sent = any(parse_sink(text).kind in ("mqtt", "webhook") for text in given["to"])
    return served or sent or plan.source.kind in ("rtsp", "http", "tcp")


def _absolute(arguments: Sequence[str], labels: Sequence[Path]) -> list[str]:
    """Return the arguments behind MODEL, the labels' file by its whole path."""
    if not labels:
        return list(arguments)
    kept = list(arguments)
    for place, argument in enumerate(arguments):
        if argument == "--labels":
            kept[place + 1] = str(labels[0])
        elif argument.startswith("--labels="):
            kept[place] = f"--labels={labels[0]}"
    return kept


def _lacks_video_group(job: "Job") -> bool:
    from edgevit.runtime.service.unit import DEVICES

    try:
        return job.kind in DEVICES and os.geteuid() != 0 and grp.getgrnam("video").gr_gid not in os.getgroups()
    except KeyError:
        return False
