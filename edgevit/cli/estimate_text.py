"""An estimate as a table for people, which nobody can take for a measurement."""

from edgevit.cli.tables import table
from edgevit.export.estimate.costs import ERROR
from edgevit.export.estimate.estimate import MHZ, THREADS, Estimate
from edgevit.text import printable


def describe_estimate(guess: Estimate) -> str:
    """Return the whole text: how long, how sure, and what takes the time."""
    low, high = guess.ms * (1 - ERROR), guess.ms * (1 + ERROR)
    rows = [("kind of operator", "operators", "M multiply-adds", "ms", "share")]
    rows += [
        (kind, str(count), f"{macs / 1e6:.1f}", f"{ms:.1f}", f"{ms / guess.ms:.0%}")
        for kind, (count, macs, ms) in guess.by_kind().items()
    ]
    return "\n".join(
        [
            printable(
                f"{guess.model} on {guess.board}: estimated {guess.ms:.0f} ms ({low:.0f} to {high:.0f}), not measured"
            ),
            f"ONNX Runtime, {THREADS} threads, {MHZ / 1000:.1f} GHz, one picture, without preparing it",
            "",
            table(rows),
        ]
    )
