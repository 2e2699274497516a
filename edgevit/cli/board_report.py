"""`edgevit benchmark --submit`: what a board measured, with its estimates beside it, as a file to send."""

from pathlib import Path

from edgevit.artifact.manifest import Manifest, read_manifest
from edgevit.cli.terminal import echo
from edgevit.device_profiles import Profile, detect_profile
from edgevit.device_profiles.evidence import read_evidence
from edgevit.errors import MissingExtraError, OptionError
from edgevit.export.estimate.estimate import conditions, count_work, milliseconds
from edgevit.models.zoo.sizes import find_works
from edgevit.runtime.benchmark.report import Report
from edgevit.runtime.benchmark.submission import BoardEstimate, submission
from edgevit.system.files import replacing_output


def write_submission(report: Report, path: Path) -> None:
    """Write the file, and say what is to be done with it.

    Raises:
        OutputError: the folder or the disk does not take the file.
    """
    profile = detect_profile(read_evidence()).profile
    estimates = {(run.model, run.threads): estimate_for(Path(run.model), run.threads, profile) for run in report.runs}
    made = submission(report, estimates)
    with replacing_output(path) as temporary:
        temporary.write_text(made.to_json(), encoding="utf-8")
    for run in made.runs:
        beside = f"estimated {run.estimate.ms:.1f}" if run.estimate else "no estimate"
        name = f"{run.model} {run.format} {run.precision}, {run.threads} threads"
        echo(f"{name}: {run.inference.p50_ms:.1f} ms, {beside}", err=True)
    echo(f"{path} holds no host name, path, file name or picture; to send it: docs/boards.md", err=True)


def estimate_for(path: Path, threads: int, profile: Profile | None) -> BoardEstimate | None:
    """Return what is estimated for a file on a board; None where nothing is known of either."""
    if profile is None:
        return None
    try:
        _, mhz = conditions(profile)
    except OptionError:
        return None
    manifest = read_manifest(path)
    assert manifest is not None
    try:
        instructions, misses = count_work(path)
        return BoardEstimate(milliseconds(instructions, misses, threads, mhz), mhz, instructions, misses, "file")
    except MissingExtraError:
        return _from_table(manifest, path, threads, mhz)


def _from_table(manifest: Manifest, path: Path, threads: int, mhz: int) -> BoardEstimate | None:
    """Return the estimate of the zoo's model: a board has no package that reads ONNX graphs."""
    precision = "fp32" if manifest.precision == "fp16" else manifest.precision
    wanted = (manifest.preprocess.size, path.suffix.removeprefix(".").lower(), precision)
    for work in find_works(manifest.model):
        if (work.size, work.format, work.precision) == wanted:
            ms = milliseconds(work.instructions, work.misses, threads, mhz)
            return BoardEstimate(ms, mhz, work.instructions, work.misses, "table")
    return None
