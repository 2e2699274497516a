"""`edgevit service`: the systemd unit that runs `edgevit run` for months."""

import getpass
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from edgevit.cli.options import adding
from edgevit.cli.sections import CommandGroup
from edgevit.cli.terminal import echo, echo_text, say
from edgevit.system.program import program_command

if TYPE_CHECKING:
    from edgevit.runtime.service.unit import Job

EXAMPLES = """\b
edgevit service print farm.onnx camera:0 --every 5s
sudo .venv/bin/edgevit service install farm.onnx picam --every 5s
sudo .venv/bin/edgevit service install --force farm.onnx picam --to log.jsonl
sudo .venv/bin/edgevit service install --name edgevit-gate farm.onnx camera:1
edgevit service install --user farm.onnx camera:0 --to mqtt://broker/farm/yard
"""

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
    click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="MODEL SOURCE... [RUN OPTIONS...]"),
)


_unit_options = adding(_OPTIONS)


@click.group("service", cls=CommandGroup, epilog=EXAMPLES)
def command() -> None:
    """Write a systemd unit that runs a model on a camera from boot, and starts it anew when no results come.

    Its arguments are those of `edgevit run`. See docs/service.md.
    """


@command.command("print", context_settings=_SETTINGS)
@_unit_options
def print_unit(user: bool, name: str, memory: str, watchdog: str | None, arguments: tuple[str, ...]) -> None:
    """Print the unit for `edgevit run MODEL SOURCE ...`."""
    from edgevit.runtime.service.unit import unit_text

    job = _job(user, name, memory, watchdog, arguments)
    echo_text(unit_text(job).removesuffix("\n"))
    for secret in job.secrets:
        if secret.value is not None:
            say(f"{secret.name} is secret: install writes it to {secret.path}, for root alone")
    program = "edgevit" if user else f"sudo {program_command()}"
    echo(f"next: {program} service install, with the same arguments", err=True)


@command.command("install", context_settings=_SETTINGS)
@click.option("--force", is_flag=True, help="Replace a unit that says something else.")
@_unit_options
def install(force: bool, user: bool, name: str, memory: str, watchdog: str | None, arguments: tuple[str, ...]) -> None:
    """Write the unit for `edgevit run MODEL SOURCE ...` where systemd finds it; nothing is started."""
    from edgevit.runtime.service.place import unit_folder, write_unit
    from edgevit.runtime.service.secrets import write_secrets
    from edgevit.runtime.service.unit import unit_text

    job = _job(user, name, memory, watchdog, arguments)
    path = unit_folder(user) / f"{job.name}.service"
    written = write_unit(path, unit_text(job), force=force)
    write_secrets(job.secrets)
    for secret in job.secrets:
        echo(f"{secret.path} holds {secret.name}", err=True)
    echo(f"{path} {'was written' if written else 'is as it should be'}", err=True)
    control = "systemctl --user" if user else "sudo systemctl"
    verb = "enable" if not force else "reenable"
    echo(f"next: {control} daemon-reload && {control} {verb} {job.name} && {control} restart {job.name}", err=True)
    if user:
        echo(f"next: sudo loginctl enable-linger {getpass.getuser()}  # to run without a login", err=True)
        if _lacks_video_group(job):
            echo(f"next: sudo usermod -aG video {getpass.getuser()}  # to open cameras; log in anew", err=True)


def _job(user: bool, name: str, memory: str, watchdog: str | None, arguments: Sequence[str]) -> "Job":
    """Check everything that can be checked before the service runs; raises OptionError and ModelFileError."""
    from edgevit.cli import run
    from edgevit.cli.run_options import read_run_options
    from edgevit.runtime.service.job import make_job
    from edgevit.system.platforms import require_linux

    require_linux("a service is run by systemd, which")

    options = read_run_options(run.command.make_context("edgevit service", list(arguments)).params)
    # it is no option of the run, but of how much its log says
    verbose = bool({"-v", "--verbose"} & set(arguments))
    return make_job(options, name=name, memory=memory, watchdog=watchdog, user=user, verbose=verbose)


def _lacks_video_group(job: "Job") -> bool:
    import grp  # Windows has none

    from edgevit.runtime.service.unit import devices

    try:
        return bool(devices(job)) and os.geteuid() != 0 and grp.getgrnam("video").gr_gid not in os.getgroups()
    except KeyError:
        return False
