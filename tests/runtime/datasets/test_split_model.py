"""The split of a folder against a naive model: each class in the order of its pictures' hashes, cut at the share."""

import hashlib

import hypothesis.strategies as st
from hypothesis import given, settings

from edgevit.runtime.datasets.seen import is_held_out
from edgevit.runtime.datasets.split import find_exceptions

NAME = st.text("abcdefgh\u00e9", min_size=1, max_size=5)


def naive(names: list[str], fraction: float) -> set[str]:
    """Return which of one class's pictures are held out."""
    shares = {name: int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) / 2**64 for name in names}
    order = sorted(names, key=lambda name: shares[name])
    held = {name for name in order if shares[name] < fraction}
    if len(order) > 1 and not held:
        held = {order[0]}
    if len(held) == len(order):
        held -= {order[-1]}
    return held


@given(
    st.dictionaries(NAME, st.sets(NAME, min_size=1, max_size=6), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.05, 0.1, 0.5, 0.9, 1.0]),
    st.booleans(),
)
@settings(max_examples=100)
def test_held_out_are_those_of_the_naive_model(folder: dict[str, set[str]], fraction: float, by_class: bool) -> None:
    pictures = [(kind, f"{kind}/{name}.jpg") for kind, names in folder.items() for name in sorted(names)]
    names = [name for _, name in pictures]
    classes = [kind for kind, _ in pictures]
    exceptions = find_exceptions(names, classes if by_class else None, fraction)
    found = {name for name in names if is_held_out(name, fraction, exceptions)}
    groups = [[name for kind, name in pictures if kind == one] for one in folder] if by_class else [names]
    assert found == set().union(*(naive(group, fraction) for group in groups))
