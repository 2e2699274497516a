"""`edgevit profiles`: the boards that are known, or all that is known about one of them."""

from collections.abc import Iterable
from dataclasses import asdict

import click

from edgevit.cli.completion import complete_boards
from edgevit.cli.sections import Command
from edgevit.cli.tables import table
from edgevit.cli.terminal import echo, echo_json, echo_text
from edgevit.device_profiles import Profile, all_profiles, detect_profile, find_profile
from edgevit.device_profiles.profile import Cluster

HEADER = ("PROFILE", "BOARD", "CORES", "ISA", "THREADS", "INT8", "FORMAT")


@click.command(
    "profiles",
    cls=Command,
    short_help="The boards that are known: cores, threads, int8 scheme, format, and the sources.",
)
@click.argument("name", required=False, shell_complete=complete_boards)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text; see docs/device-profiles.md.")
def command(name: str | None, as_json: bool) -> None:
    """List all device profiles, or describe the profile NAME: a name, an alias, or the path of a TOML file.

    The one that fits this machine is marked with a star; EDGEVIT_PROFILE overrides the guess.
    """
    if name is not None:
        profile = find_profile(name)
        echo_json(asdict(profile), indent=2) if as_json else echo(*details(profile))
        return
    detection = detect_profile()
    profiles = sorted(all_profiles(), key=lambda profile: profile.name)
    here = detection.profile.name if detection.profile else None
    if as_json:
        found = {"detected": here, "why": detection.why, "profiles": [asdict(profile) for profile in profiles]}
        echo_json(found, indent=2)
        return
    echo_text(table([HEADER, *(row(profile, profile.name == here) for profile in profiles)], others="left"))
    echo("", f"* this machine: {detection.why}", "More: edgevit profiles NAME", err=True)


def row(profile: Profile, here: bool) -> tuple[str, ...]:
    """Return the columns under HEADER."""
    return (
        f"{profile.name}{' *' if here else ''}",
        profile.title,
        " + ".join(f"{cluster.count} {cluster.core}" for cluster in reversed(profile.clusters)) or "any",
        " ".join((profile.isa.level, *(name for name in profile.isa.features if name != "asimd"))),
        str(profile.threads.count or "all"),
        profile.quantization.scheme,
        profile.format.preferred,
    )


def details(profile: Profile) -> Iterable[str]:
    """Describe one profile in lines of text: each figure, and below it where it comes from."""
    yield _line("profile", f"{profile.name}: {profile.title}")
    if profile.aliases:
        yield _line("also", ", ".join(profile.aliases))
    yield _line("processor", f"{profile.architecture}, {' '.join((profile.isa.level, *profile.isa.features))}")
    yield _source(profile.isa.source)
    for cluster in profile.clusters:
        yield _line("cores", _cluster(cluster))
        yield _source(cluster.source)
    if memory := profile.memory:
        bandwidth = f", {memory.bandwidth_gb_s} GB/s" if memory.bandwidth_gb_s else ""
        yield _line("memory", f"{', '.join(f'{size} MB' for size in memory.sizes_mb)} {memory.kind}{bandwidth}")
        yield _source(memory.source)
    if camera := profile.camera:
        yield _line("camera", f"{camera.stack}: {camera.note}")
        yield _source(camera.source)
    for system in profile.systems:
        wheels = ", ".join(system.wheels) or "no wheels"
        note = f"; {system.note}" if system.note else ""
        yield _line("system", f"{system.name}, Python {system.python}: {wheels}{note}")
    yield _source(profile.systems_source)
    yield _line("threads", f"{profile.threads.count or 'one for each core'}: {profile.threads.why}")
    yield _line("int8", f"{profile.quantization.scheme}: {profile.quantization.why}")
    yield _line("format", f"{profile.format.preferred}: {profile.format.why}")


def _cluster(cluster: Cluster) -> str:
    facts = [
        f"{cluster.count} {cluster.core}{' (slow ones)' if cluster.little else ''}",
        f"{cluster.mhz} MHz" if cluster.mhz else "",
        f"{cluster.l1d_kb} KiB L1 data" if cluster.l1d_kb else "",
        f"{cluster.l2_kb} KiB L2{' a core' if cluster.l2_private else ''}" if cluster.l2_kb else "",
    ]
    return ", ".join(filter(None, facts))


def _line(label: str, text: str) -> str:
    return f"{label:<11}{text}"


def _source(text: str) -> str:
    return f"{'':<13}source: {text}"
