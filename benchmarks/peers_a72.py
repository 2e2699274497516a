"""edgevit beside other runtimes on an emulated Cortex-A72: instructions, and an estimate for a Raspberry Pi 4.

    python benchmarks/peers_a72.py [--root DIR] [--model NAME]... [--row LABEL]... [--keep DIR] [--json FILE]
    python benchmarks/peers_a72.py --read FILE

Each row is converted on this machine as benchmarks/peers.py does, and run through the same adapter by the runtime's own
aarch64 wheel on the emulation of `make test-a72`, one thread, the third inference counted. The emulation is built in
--root where it is missing, with the peers' wheels beside it. Times are estimates by the two prices of `edgevit
benchmark --estimate`, for four threads at 1.5 GHz; half of them is the price of cache misses, so read the instructions
too. A row takes minutes, most of it for counting misses.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from peers.measure import Plan, convert
from peers.process import PeerError, Process, forget_other_weights
from peers.row import Job, Row
from peers.rows import ROWS

from edgevit.export.estimate.estimate import CORES, MHZ, milliseconds
from edgevit.models.zoo.registry import get_spec
from edgevit.system.program import Program

TOOLS = Path(__file__).parents[1] / "tools" / "a72"
sys.path.insert(0, str(TOOLS))

# tools beside each other, whose names sort otherwise where a folder build/ lies
# isort: off
from build import download, once  # noqa: E402
from count import PROJECT, run_counted  # noqa: E402
# isort: on

MODELS = ("sbcformer_xs", "efficientvit_b0", "efficientvit_b1")
LABELS = (
    *("edgevit TFLite int8", "ncnn fp32", "MNN int8 weights", "MNN fp32"),
    *("OpenVINO fp32", "OpenVINO int8", "edgevit ONNX int8"),
)
PEERS = ("ncnn", "MNN", "openvino")
"""Packages with aarch64 wheels that import on this processor."""
NOT_COUNTED = {"ExecuTorch int8": "not counted here: its Python binding needs torch, and without it a C++ program"}
"""Label of what this command cannot run, to the reason."""
PYTHON = "3.11"

# Runs in the emulation: the adapter of one row, three inferences, of which the last is the first region.
GUEST = """
import ctypes, sys
from peers.row import Job
from peers.rows import ROWS

end_region = ctypes.CDLL(None).syscall
job, key = Job.from_json(sys.argv[1]), sys.argv[2]
call, image = ROWS[key].open(job, job.folder / key, 1), job.image()
for turn in range(3):
    end_region(0x5A72, 0)
    call(image)
    end_region(0x5A72, 1 if turn == 2 else 0)
"""


@click.command(cls=Program, help=__doc__)
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the emulated system; made if missing.")
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True)
@click.option("--row", "labels", multiple=True, default=LABELS, type=click.Choice(LABELS), show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for converted models, used again.")
@click.option("--json", "document", type=click.Path(path_type=Path), help="Write what was counted; after every row.")
@click.option("--read", type=click.Path(path_type=Path, exists=True), help="Count nothing; show a file of --json.")
def main(
    root: Path | None,
    models: tuple[str, ...],
    labels: tuple[str, ...],
    keep: Path | None,
    document: Path | None,
    read: Path | None,
) -> None:
    if read is not None:
        click.echo(table(json.loads(read.read_text())))
        return
    root = root or Path.home() / ".cache" / "edgevit" / "a72"
    subprocess.run([sys.executable, TOOLS / "build.py", root, "--python", PYTHON], check=True, stdout=sys.stderr)
    site = root.absolute() / PYTHON / "peers"
    once(site, lambda new: download(new, PYTHON, list(PEERS), "--no-deps"))
    rows = [row for row in ROWS.values() if row.label in labels]
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name in models:
            weights = None if any(entry.bundled for entry in get_spec(name).weights) else "random"
            job = Job(name, weights, (keep or Path(temporary)).absolute() / name)
            for row, cell in counts(job, rows, root / PYTHON, site):
                found.setdefault(name, {})[row.label] = cell
                if document is not None:
                    document.write_text(json.dumps(found, indent=1) + "\n")
    click.echo(table(found))


def counts(job: Job, rows: list[Row], system: Path, site: Path) -> "list[tuple[Row, dict[str, Any]]]":
    """Convert a model for each row and count it; a row that fails is told as {"failed": reason}."""
    job.folder.mkdir(parents=True, exist_ok=True)
    try:
        with Process("prepare", job) as process:
            forget_other_weights(job.folder, process.answer()["sha256"])
    except PeerError as error:
        raise click.ClickException(f"{job.model} cannot be prepared: {error}") from error
    plan = Plan(tuple(rows), (1,), 0, 0, "", None, 0, lambda text: click.echo(text, err=True))
    absent: dict[str, str] = {}
    found = []
    for row in rows:
        if convert(job, row, plan, absent):
            plan.say(f"{job.model}: counting {row.label}")
            found.append((row, count_row(job, row, system, site)))
        else:
            found.append((row, {"failed": absent[row.label]}))
    return found


def count_row(job: Job, row: Row, system: Path, site: Path) -> dict[str, Any]:
    """Return the instructions and misses of one inference, or {"failed": reason}."""
    paths = [PROJECT, PROJECT / "benchmarks", site]
    try:
        _, regions = run_counted(system, GUEST, [job.to_json(), row.key], True, paths)
    except subprocess.CalledProcessError as error:
        return {"failed": f"does not run (exit code {error.returncode})"}
    return dict(regions[1]) if 1 in regions else {"failed": "does not run: nothing was counted"}


def table(found: dict[str, dict[str, Any]]) -> str:
    """Return Markdown: models by rows, in each cell millions of instructions and estimated milliseconds."""
    labels = list(dict.fromkeys(label for cells in found.values() for label in cells))
    heads = ["model", *labels, *NOT_COUNTED]
    lines = [heads, ["---"] * len(heads)]
    for name, cells in found.items():
        lines.append([name, *(_cell(cells.get(label)) for label in labels), *["not counted"] * len(NOT_COUNTED)])
    notes = [f"- {label}: {reason}" for label, reason in NOT_COUNTED.items()]
    notes += [
        f"- {name}, {label}: {cell['failed']}"
        for name, cells in found.items()
        for label, cell in cells.items()
        if "failed" in cell
    ]
    how = f"{CORES} threads at {MHZ / 1000} GHz"
    about = f"M instructions, and ms estimated for {how}, one inference; nothing was timed."
    return "\n".join([about, "", *(f"| {' | '.join(line)} |" for line in lines), "", *notes])


def _cell(counted: dict[str, Any] | None) -> str:
    if counted is None:
        return "-"
    if "failed" in counted:
        return "does not run"
    ms = milliseconds(counted["instructions"], counted["misses"], CORES, MHZ)
    return f"{counted['instructions'] / 1e6:.1f} M, {ms:.1f} ms"


if __name__ == "__main__":
    main()
