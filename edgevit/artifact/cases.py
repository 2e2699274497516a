"""The self-test inside a file: reference images, what must come of them, and how closely."""

from dataclasses import dataclass

from edgevit.artifact.checks import require

MOST_CASES = 16
"""Pictures of a self-test, which `edgevit export` gives three."""
MOST_BOXES = 100
"""Reference boxes of one picture."""
MOST_VALUES = 65_536
"""Values that a self-test may hold of one picture's input or answer."""
INPUT_TOLERANCE_LEVELS = 2.0
"""Largest tolerance of a self-test's input that is believed, in levels of a picture, 0..255."""
LOGIT_TOLERANCE = 0.25
"""Largest tolerance of a self-test's answers that is believed; runtime/backends/reference.py says what is usual.

A file declares its own tolerances, so that without a limit it could pass whatever it answers.
"""

SCORE_TOLERANCE = 0.25
"""Largest tolerance of a reference box's score that is believed."""
MISSING_BOXES = 0.25
"""Largest share of reference boxes that may be missing."""


@dataclass(frozen=True)
class ReferenceBox:
    """A box that a detection model found in a reference image."""

    box: tuple[float, float, float, float]
    """Left, top, right and bottom in pixels of the model's input."""
    score: float
    """How sure it was, 0..1."""
    index: int
    """The number of its class."""

    def __post_init__(self) -> None:
        """Raise ValueError for what is no box."""
        left, top, right, bottom = self.box
        require(left < right and top < bottom, "box", self.box, "left < right and top < bottom")
        require(0 <= self.score <= 1, "score", self.score, "a number from 0 to 1")
        require(self.index >= 0, "index", self.index, "0 or more")


@dataclass(frozen=True)
class SelfTest:
    """One reference image, what preprocessing must make of it, and what the model must answer."""

    png: str
    """Base64 of a small PNG."""
    input_indices: tuple[int, ...]
    """Flat C-order indices into the (3, H, W) input."""
    input_values: tuple[float, ...]
    """The input's values there."""
    logits: tuple[float, ...]
    """Numbers of the model's answer; may be empty where there are boxes."""
    logit_indices: tuple[int, ...] = ()
    """Flat C-order indices of `logits` into the model's answer for the image, several outputs after each other; empty
    where they are all of it."""
    boxes: tuple[ReferenceBox, ...] = ()
    """The surest boxes of a detection model, before any threshold."""

    def __post_init__(self) -> None:
        """Raise ValueError for lists that do not belong together."""
        places, values = len(self.input_indices), len(self.input_values)
        require(1 <= places <= MOST_VALUES, "input_indices", f"{places} places", f"1 to {MOST_VALUES}")
        require(places == values, "input_values", f"{values} values", f"{places}, as many as input_indices")
        require(min(self.input_indices) >= 0, "input_indices", min(self.input_indices), "0 or more")
        least = 0 if self.boxes else 1
        found = len(self.logits)
        require(least <= found <= MOST_VALUES, "logits", f"{found} values", f"{least} to {MOST_VALUES}")
        require(len(self.boxes) <= MOST_BOXES, "boxes", f"{len(self.boxes)} boxes", f"at most {MOST_BOXES}")
        if self.logit_indices:
            places = len(self.logit_indices)
            require(places == found, "logit_indices", f"{places} places", f"{found}, as many as logits")
            require(min(self.logit_indices) >= 0, "logit_indices", min(self.logit_indices), "0 or more")


@dataclass(frozen=True)
class SelfTests:
    """The self-test's cases and how closely a board must reproduce them."""

    cases: tuple[SelfTest, ...]
    input_tolerance: float
    """Largest absolute difference allowed in the normalized input."""
    logit_tolerance: float
    """Largest difference allowed in a logit, as a share of the largest absolute logit of the case."""
    class_numbers: bool = False
    """Whether the model answers with class numbers; `logit_tolerance` is then the share of them that may differ."""
    score_tolerance: float = 0.0
    """Largest difference allowed in the score of a reference box."""
    missing_boxes: float = 0.0
    """Share of an image's reference boxes that may be missing."""

    def __post_init__(self) -> None:
        """Raise ValueError for more cases than a self-test has."""
        require(len(self.cases) <= MOST_CASES, "cases", f"{len(self.cases)} pictures", f"at most {MOST_CASES}")
