"""COCO's run-length encoding of masks.

A mask is read down its columns; the counts are the lengths of its runs of other pixels and own pixels in turn, the
first of other ones (perhaps 0). The compressed form writes each count from the fourth on as its difference from the
count two before it, in characters of five bits and a sign to carry on, from "0" on.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.images.masks import Mask

_CHARACTERS = 13
"""More characters than any 64-bit difference needs."""


def class_runs(mask: Mask) -> dict[int, list[int]]:
    """Return for each class in an (H, W) mask, in their order, the uncompressed counts."""
    columns = np.ascontiguousarray(mask.T).reshape(-1)
    starts = np.flatnonzero(np.concatenate([[True], columns[1:] != columns[:-1]]))
    ends = np.append(starts[1:], columns.size)
    classes = columns[starts]
    runs = {}
    for number in np.unique(classes):
        own = classes == number
        # other, own, other, own, ...: the places where the mask changes, then their distances
        edges = np.stack([starts[own], ends[own]], axis=1).reshape(-1)
        edges = np.concatenate([[0], edges, [columns.size]])
        counts = np.diff(edges)
        runs[int(number)] = [int(count) for count in (counts if counts[-1] else counts[:-1])]
    return runs


def compress(counts: Sequence[int]) -> str:
    """Return COCO's compressed form of counts."""
    rest = np.array(counts, np.int64)
    rest[3:] -= np.array(counts[1:-2], np.int64)
    characters = np.zeros((len(rest), _CHARACTERS), np.uint8)
    used = np.zeros(characters.shape, bool)
    open_: NDArray[np.bool_] = np.ones(len(rest), bool)
    for place in range(_CHARACTERS):
        used[:, place] = open_
        bits = rest & 31
        rest >>= 5
        more = np.where(bits & 16, rest != -1, rest != 0)
        characters[:, place] = bits + (more << 5) + 48
        open_ = open_ & more
    return characters[used].tobytes().decode("ascii")
