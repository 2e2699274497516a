"""`edgevit update`: a board that follows a site of signed models."""

import shlex
from pathlib import Path

import click
from click.core import ParameterSource

from edgevit.cli.sections import CommandGroup
from edgevit.cli.terminal import echo
from edgevit.errors import MissingExtraError, OptionError, UpdateError
from edgevit.system.program import program_command

EXAMPLES = """\b
sudo .venv/bin/edgevit update enroll https://example.org/farm \\
  --root 1.root.json --target stable/farm.onnx --into /srv/models
sudo .venv/bin/edgevit update
sudo .venv/bin/edgevit update --from file:///media/stick
"""

_SERVICE = click.option(
    "--service", default="edgevit", show_default=True, metavar="NAME", help="The service that runs the model."
)
_USER = click.option("--user", is_flag=True, help="It belongs to your own service manager; see docs/service.md.")


@click.group("update", cls=CommandGroup, invoke_without_command=True, epilog=EXAMPLES)
@_SERVICE
@_USER
@click.option("--from", "address", metavar="SITE", help="Ask another copy of the site this once, such as a USB stick.")
@click.option("--retry", is_flag=True, help="Try a model once more that did not work on this board.")
@click.pass_context
def command(context: click.Context, service: str, user: bool, address: str | None, retry: bool) -> None:
    """Look for a newer signed model once, and run it if it works on this board.

    It is fetched, checked, tested, swapped in, and watched through the service; if it gives no results, the model
    before comes back. `edgevit update enroll` tells the board which site to trust, and writes a timer. See
    docs/fleet.md.
    """
    if context.invoked_subcommand is not None:
        _refuse_options_before(context, context.invoked_subcommand)
        return
    _require_package()
    from edgevit.runtime.enroll.settings import enrollment_path
    from edgevit.runtime.update.check import check
    from edgevit.runtime.update.enrollment import check_site, read_enrollment
    from edgevit.runtime.update.service import SystemdService

    enrollment = read_enrollment(enrollment_path(service, user))
    state = check(
        enrollment,
        SystemdService(service, user),
        address=None if address is None else check_site(address),
        retry=retry,
        tell=echo,
    )
    if state.state in ("failed", "rolled back"):
        raise UpdateError(f"{state.target} {state.state}: {state.error}")
    echo(f"{state.target}: {state.state}" + (f": {state.error}" if state.error else ""))


@command.command("enroll")
@click.argument("site")
@click.option("--root", type=click.Path(path_type=Path), required=True, help="The site's 1.root.json, from its owner.")
@click.option("--target", required=True, metavar="CHANNEL/MODEL", help="What to follow, such as stable/farm.onnx.")
@click.option("--into", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Folder of the model.")
@_SERVICE
@_USER
@click.option(
    "--every", default="1h", show_default=True, metavar="TIME", help="Time between two checks; half is added at random."
)
@click.option("--force", is_flag=True, help="Replace what the board was told before.")
def enroll_board(
    site: str, root: Path, target: str, into: Path, service: str, user: bool, every: str, force: bool
) -> None:
    """Have this board follow a model of SITE, the address of a folder that `edgevit fleet` made.

    Nothing is fetched or started; the next commands are printed.
    """
    _require_package()
    from edgevit.runtime.enroll.enroll import enroll
    from edgevit.runtime.enroll.timer import SUFFIX
    from edgevit.runtime.sources.sampling import parse_duration
    from edgevit.runtime.update.enrollment import parse_target

    written = enroll(
        site,
        root=root,
        target=target,
        into=into,
        service=service,
        user=user,
        every_s=parse_duration(every, "--every"),
        force=force,
    )
    for path in written:
        echo(f"{path} is as it should be", err=True)
    control = "systemctl --user" if user else "sudo systemctl"
    program, mine = ("edgevit", " --user") if user else (f"sudo {program_command()}", "")
    named, called = (f" --service {service}", f" --name {service}") if service != "edgevit" else ("", "")
    echo(f"next: {program} update{named}{mine}", err=True)
    model = into.absolute() / parse_target(target)[1]
    install = f"{program} service install {shlex.quote(str(model))} SOURCE{called}{mine}"
    echo(f"next: {install}, if that is not the file that {service} runs", err=True)
    echo(f"next: {control} daemon-reload && {control} enable --now {service}{SUFFIX}.timer", err=True)


def _refuse_options_before(context: click.Context, subcommand: str) -> None:
    """Raise OptionError for an option that stands before the subcommand, which would not hear of it."""
    for parameter in context.command.params:
        if context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE:
            option = parameter.opts[0]
            raise OptionError(
                f"{option} stands before {subcommand}, which does not hear it; leave it out, or write it after "
                f"{subcommand} where that has it"
            )


def _require_package() -> None:
    from edgevit.system.platforms import require_linux

    require_linux("`edgevit update` works with systemd, which")
    try:
        import tuf.ngclient  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError("tuf", "following a site of signed models", "update") from error
