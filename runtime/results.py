"""What a model answered about one image."""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgevit.errors import OptionError
from edgevit.runtime.moment import Moment, iso_time
from edgevit.runtime.postprocess import top_classes
from edgevit.schema import Range, Share, check_argument

Limit = float | Callable[[str], float]
"""Confidence, 0..1, from which classes are told: one for all, or what tells each label's."""


def limit_of(threshold: Limit) -> Callable[[str], float]:
    """Return what tells the threshold of each label.

    Raises:
        OptionError: it is neither a number from 0 to 1 nor a function.
    """
    if callable(threshold):
        return threshold
    common: float = check_argument(Share, threshold, "threshold")
    return lambda label: common


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """The answer for one image; docs/results.md describes its JSON."""

    of_areas: ClassVar[bool] = False
    """Whether `probs` are shares of the picture's area, so that several classes may be there at once."""
    probs: NDArray[np.float32]
    """(classes,) probabilities, in the order of `names`; they sum to 1 unless `multi_label`."""
    names: tuple[str, ...]
    """Labels of all classes."""
    source: str | None = None
    """The image's path; None if it was given as an array or bytes."""
    preprocess_ms: float = 0.0
    """Reading, decoding, scaling and normalising."""
    inference_ms: float = 0.0
    """The model; in a batch, an equal share of the batch's time."""
    postprocess_ms: float = 0.0
    """Logits to probabilities; in a batch, an equal share."""
    moment: Moment | None = None
    """Which frame and region of a stream, and when it was read."""
    age_ms: float | None = None
    """How old the frame of a live source was when its classification began."""
    dropped: int | None = None
    """How many frames of a live source were replaced by a newer one before they were classified, so far."""
    position_s: float | None = None
    """The frame's time within a video."""
    multi_label: bool = False
    """Whether each of `probs` is a probability of its own, so that several classes may be there at once, or none."""

    @functools.cached_property
    def _top5(self) -> tuple[int, ...]:
        return tuple(int(index) for index in top_classes(self.probs, 5))

    @property
    def top1_index(self) -> int:
        return self._top5[0]

    @property
    def top1(self) -> str:
        return self.names[self.top1_index]

    @property
    def top1_conf(self) -> float:
        return float(self.probs[self.top1_index])

    @property
    def headline(self) -> str:
        """What the answer is called in a word: here its best label."""
        return self.top1

    @property
    def top5(self) -> tuple[str, ...]:
        """Labels of the five most likely classes (fewer if the model has fewer), most likely first."""
        return tuple(self.names[index] for index in self._top5)

    @property
    def top5_conf(self) -> tuple[float, ...]:
        return tuple(float(self.probs[index]) for index in self._top5)

    def top(self, k: int, threshold: Limit = 0.0) -> tuple[tuple[str, float], ...]:
        """Return (label, confidence) of the k most likely classes that reach the threshold, most likely first.

        Raises:
            OptionError: k is no whole number from 0, or the threshold no number from 0 to 1.
        """
        limit = limit_of(threshold)
        k = check_argument(Annotated[int, Range(0)], k, "k")
        ranked = ((self.names[index], float(self.probs[index])) for index in top_classes(self.probs, k))
        return tuple((name, confidence) for name, confidence in ranked if confidence >= limit(name))

    def time_s(self, moment: Moment) -> float:
        """Return the time by which rules measure intervals, in seconds: a video's own, else the monotonic clock's.

        Args:
            moment: which frame it is the answer for.
        """
        return moment.monotonic_s if self.position_s is None else self.position_s

    def check_label(self, label: str) -> None:
        """Raise OptionError if the model has no class of this name."""
        if label not in self.names:
            raise OptionError(f"the model has no class {label!r}; it has {', '.join(self.names)}")

    def to_dict(self, k: int = 5, threshold: Limit = 0.0) -> dict[str, Any]:
        """Return what docs/results.md describes: plain values only, the k most likely classes in `top`."""
        costly = {name: make() for name, make in self.to_costly_dict(threshold).items()}
        return {**self.to_plain_dict(k, threshold), **costly}

    def to_costly_dict(self, threshold: Limit = 0.0) -> dict[str, Callable[[], Any]]:
        """Return by name what makes the parts of to_dict that take milliseconds; none of a classification."""
        return {}

    def to_plain_dict(self, k: int = 5, threshold: Limit = 0.0) -> dict[str, Any]:
        """Return all other parts of to_dict."""
        return {
            "source": self.source,
            "top1": self.top1,
            "top1_conf": self.top1_conf,
            "top1_index": self.top1_index,
            "top": [{"label": label, "conf": confidence} for label, confidence in self.top(k, threshold)],
            "preprocess_ms": round(self.preprocess_ms, 3),
            "inference_ms": round(self.inference_ms, 3),
            "postprocess_ms": round(self.postprocess_ms, 3),
            **({"multi_label": True} if self.multi_label else {}),
            **self._stream_facts(),
        }

    def _stream_facts(self) -> dict[str, Any]:
        """Return what is known only of frames of a stream; nothing for an image that a classifier was called with."""
        if self.moment is None:
            return {}
        facts = {
            "time": iso_time(self.moment.wall_s),
            "frame": self.moment.sequence,
            "roi": self.moment.roi,
            "age_ms": None if self.age_ms is None else round(self.age_ms, 3),
            "dropped": self.dropped,
            "position_s": None if self.position_s is None else round(self.position_s, 3),
        }
        return {name: value for name, value in facts.items() if value is not None}

    def to_json(self, k: int = 5, threshold: Limit = 0.0) -> str:
        """Return to_dict as one line of ASCII."""
        return json.dumps(self.to_dict(k, threshold))

    def __str__(self) -> str:
        return f"{self.top1} {self.top1_conf:.2f}"

    def __repr__(self) -> str:
        """Return one line: a model may have a thousand classes, and a picture millions of pixels."""
        return f"{type(self).__name__}({str(self)!r}, source={self.source!r})"


@functools.lru_cache(maxsize=8)
def class_indices(names: tuple[str, ...]) -> Mapping[str, tuple[int, ...]]:
    """Return the indices of each name: several classes may have one, as ImageNet's bird and machine, both crane."""
    found: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        found.setdefault(name, []).append(index)
    return {name: tuple(indices) for name, indices in found.items()}


def class_share(result: Result, label: str) -> float:
    """Return the probability of one of an answer's classes, or the share of the area that it takes, 0..1.

    Of several classes of one name, as ImageNet's two cranes, it is that of the likeliest, or their area together.
    """
    found = [float(result.probs[index]) for index in class_indices(result.names)[label]]
    return sum(found) if result.of_areas else max(found)
