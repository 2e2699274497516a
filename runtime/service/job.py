"""From the options of a run to the service that runs it for months: everything that can be checked before it starts."""

import dataclasses
import os
import sys
from pathlib import Path

from edgevit.errors import OptionError
from edgevit.runtime.addresses.destinations import STDOUT, parse_bytes
from edgevit.runtime.backends.session import find_backend
from edgevit.runtime.run.options import RunOptions
from edgevit.runtime.serve.address import is_loopback, parse_address
from edgevit.runtime.service.place import (
    check_name,
    check_readable,
    needed_folders,
    readable_folders,
    secrets_folder,
)
from edgevit.runtime.service.secrets import find_secrets, hide_addresses, used_secrets
from edgevit.runtime.service.unit import Job, watchdog_s
from edgevit.runtime.sources.sampling import parse_duration

ENDS = {
    "path": "a cron job or a systemd timer with `edgevit run`",
    "video": "a cron job or a systemd timer with `edgevit run`",
    "sequence": "a cron job or a systemd timer with `edgevit run`",
    "stdin": "a camera or stream: a service has no stdin",
}
"""Kinds of sources that no service can go on with, and what to take instead."""
NETWORK = ("mqtt", "webhook")
"""Kinds of places beyond this machine."""


def make_job(
    options: RunOptions,
    *,
    name: str = "edgevit",
    memory: str = "500MB",
    watchdog: str | None = None,
    user: bool = False,
    verbose: bool = False,
) -> Job:
    """Return the service of a run.

    Args:
        options: of the run; its model and labels must be there.
        name: of the unit, its user and its folder.
        memory: most that it may use, such as "500MB".
        watchdog: it is started anew after so long without a result, such as "10m"; None for what suits the sources.
        user: for a user's own service manager, else for the system's.
        verbose: whether the run says more in its log.

    Raises:
        OptionError: the run ends by itself, or needs what a service cannot have.
        ModelFileError: there is no model.
    """
    plan = options.plan
    _check_endless(options)
    find_backend(Path(options.model))
    limit_s = plan.result_limit_s
    period_s = watchdog_s(limit_s) if watchdog is None else parse_duration(watchdog, "--watchdog")
    if period_s < limit_s:
        raise OptionError(
            f"--watchdog is {watchdog}, but with these --every and --stall-timeout, and a camera's warm-up, "
            f"a result may take {limit_s:g} s; give more"
        )
    files = [Path(os.path.abspath(file)) for file in (options.model, options.labels) if isinstance(file, str | Path)]
    readable: tuple[str, ...] = ()
    if not user:
        _check_places(options)
        for file in files:
            check_readable(file)
        # where a link points to must be there too
        folders = [folder for file in files for folder in (file.parent, file.resolve().parent)]
        readable = readable_folders([*folders, *needed_folders()])
    labels = files[1] if len(files) > 1 else options.labels
    model, *arguments = dataclasses.replace(options, model=files[0], labels=labels).arguments()
    folder = secrets_folder(check_name(name), user)
    shown, hidden = hide_addresses(arguments, len(plan.sources), folder)
    texts = (*options.source_texts, *options.to)
    used = used_secrets(plan.sources, options.targets, texts, page=options.serve is not None)
    return Job(
        name=check_name(name),
        command=(
            sys.executable,
            "-P",
            "-m",
            "edgevit",
            "run",
            model,
            *shown,
            *(["--verbose"] if verbose else []),
        ),
        about=f"edgevit: {Path(options.model).name} on {plan.name}",
        kinds=tuple(source.kind for source in plan.sources),
        watchdog_s=period_s,
        memory=parse_bytes(memory, "--memory"),
        user=user,
        network=_needs_network(options),
        readable=readable,
        secrets=(*hidden, *find_secrets(used, folder)),
    )


def _check_endless(options: RunOptions) -> None:
    if options.status is not None:
        raise OptionError("a service has a status file of its own, /run/edgevit/NAME/status.json; leave --status out")
    for source in options.plan.sources:
        if source.kind in ENDS:
            raise OptionError(f"a service goes on, but {source.name} ends; take {ENDS[source.kind]}")
    if options.plan.max_frames is not None:
        raise OptionError("a service goes on, but --once and --max-frames end; leave them out, or use a systemd timer")


def _check_places(options: RunOptions) -> None:
    """Raise OptionError for an output that the service's own user could not write."""
    places = [target.place for target in options.targets if target.kind not in NETWORK and target.place != STDOUT]
    places += [] if options.spool is None else [str(options.spool)]
    places += [str(target.options["check"]) for target in options.targets if "check" in target.options]
    for place in places:
        if Path(place).is_absolute() or ".." in Path(place).parts:
            raise OptionError(
                f"the service may write only below /var/lib/NAME, not to {place}; give a path relative to that, "
                "or use --user"
            )


def _needs_network(options: RunOptions) -> bool:
    served = options.serve is not None and not is_loopback(parse_address(options.serve)[0])
    sent = any(target.kind in NETWORK for target in options.targets)
    return served or sent or any(source.kind in ("rtsp", "http", "tcp") for source in options.plan.sources)
