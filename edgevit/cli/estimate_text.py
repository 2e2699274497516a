"""An estimate as a table for people, which nobody can take for a measurement."""

from edgevit.cli.tables import table
from edgevit.export.estimate.estimate import Estimate
from edgevit.text import printable


def describe_estimate(guess: Estimate) -> str:
    """Return the whole text: how long, how sure, and what takes the time."""
    low, high = guess.ms * (1 - guess.error), guess.ms * (1 + guess.error)
    rows = [("kind of operator", "operators", "M multiply-adds", "ms", "share")]
    rows += [
        (kind, str(count), f"{macs / 1e6:.1f}", f"{ms:.1f}", f"{ms / guess.ms:.0%}")
        for kind, (count, macs, ms) in guess.by_kind().items()
    ]
    return "\n".join(
        [
            printable(
                f"{guess.model} on {guess.board}: estimated {_milliseconds(guess.ms)} ms "
                f"({_milliseconds(low)} to {_milliseconds(high)}), not measured"
            ),
            f"{guess.runtime}, {guess.threads} threads, {guess.mhz / 1000:.1f} GHz, one picture, without preparing it",
            *([printable(_doubt(guess))] if guess.unpriced else []),
            "",
            table(rows),
        ]
    )


def _milliseconds(ms: float) -> str:
    """Return a time with a digit more where it is so short that it would be rounded away."""
    return f"{ms:.0f}" if ms >= 10 else f"{ms:.1f}"


def _doubt(guess: Estimate) -> str:
    return f"nothing was counted of {', '.join(guess.unpriced)}: they may take longer than is estimated"
