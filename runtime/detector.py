"""Object detection: boxes of the objects in a picture."""

import copy
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Self, Unpack, cast, overload

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Manifest, Preprocess
from edgevit.errors import ModelFileError, OptionError
from edgevit.runtime.backends.session import Session
from edgevit.runtime.classifier import Classifier, Image, source_name
from edgevit.runtime.detection.boxes import FoundBoxes
from edgevit.runtime.detection.decode import BoxDecoder
from edgevit.runtime.detection.decoders import own_decoder
from edgevit.runtime.detection.letterbox import to_picture
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.detection.suppress import MOST, Limits
from edgevit.runtime.detection.tiles import detect_in_tiles
from edgevit.runtime.images.prepare import Prepared, prepare
from edgevit.runtime.images.preprocess import Speed, speed_for
from edgevit.runtime.images.read import read_image
from edgevit.runtime.results import Result, class_indices
from edgevit.schema import Range, Share, check_argument

if TYPE_CHECKING:
    import os

    from edgevit.errors import EdgevitError
    from edgevit.runtime.events.event import Event
    from edgevit.runtime.events.labels import LabelRules
    from edgevit.runtime.moment import Moment
    from edgevit.runtime.sources.stop import Stop
    from edgevit.runtime.stream.options import StreamKeywords

Floats = NDArray[np.float32]
Tiles = Annotated[int, Range(1)]


class Detector(Classifier):
    """A loaded detection model; made by `load`. Calling it with a picture returns Detections."""

    task = "detect"
    whole_pictures = True
    _decoder: BoxDecoder

    def __init__(
        self,
        session: Session,
        preprocessing: Preprocess,
        names: tuple[str, ...],
        manifest: Manifest | None,
        decoder: BoxDecoder | None = None,
    ) -> None:
        """Take what the answers mean from the manifest unless a decoder is given.

        Raises:
            ModelFileError: nothing says what the answers mean, or the preprocessing cuts off a part of the picture.
        """
        super().__init__(session, preprocessing, names, manifest)
        # a single class is no yes or no here
        self.names = names
        found = decoder or (None if manifest is None else own_decoder(manifest))
        if found is None:
            raise ModelFileError("the model's document does not say what its answers mean; export it again")
        if preprocessing.crop_mode == "center" or preprocessing.crop_pct != 1:
            raise ModelFileError(
                f"the model's document says crop_mode {preprocessing.crop_mode!r} and crop_pct "
                f"{preprocessing.crop_pct:g}, expected 'letterbox' or 'squash' and 1; export it again"
            )
        self._decoder = found
        self._thresholds: Floats = np.full(len(names), found.threshold, np.float32)
        self._least: float | None = None
        """Score of boxes that are known though they do not count."""

    @property
    def thresholds(self) -> dict[str, float]:
        """Label to the score, 0..1, that a box of it must reach to be told."""
        return {name: float(value) for name, value in zip(self.names, self._thresholds, strict=True)}

    def set_thresholds(self, common: float | None = None, **single: float) -> None:
        """Say which boxes are told from now on.

        Args:
            common: least score of all classes, 0..1; None for the one in the model's file.
            single: label to that of a single class.

        Raises:
            OptionError: a score is none, or the model has no such class.
        """
        common = self._decoder.threshold if common is None else check_argument(Share, common, "threshold")
        values = np.full(len(self.names), common, np.float32)
        for label, value in single.items():
            if label not in self.names:
                raise OptionError(f"the model has no class {label!r}; it has {', '.join(self.names)}")
            values[list(class_indices(self.names)[label])] = check_argument(Share, value, label)
        self._thresholds = values

    def with_rules(self, rules: "LabelRules", least: float | None = None) -> Self:
        """Return this detector as one that tells the boxes that reach the rules' thresholds; both share the model.

        Args:
            rules: thresholds of single classes and of all others; where there is none, this detector's own holds.
            least: boxes from this score on are the answers' `weak`, 0..1; None for no such.
        """
        other, own = copy.copy(self), self.thresholds
        common = own if rules.threshold is None else dict.fromkeys(own, rules.threshold)
        limits = [rules.thresholds.get(name, common[name]) for name in self.names]
        other._thresholds, other._least = np.array(limits, np.float32), least
        return other

    def _told(self) -> dict[str, Any]:
        return {**super()._told(), "_thresholds": self._thresholds, "_least": self._least}

    # a list of Detections is no list[Result] to a type checker, as somebody might append to it; nobody does
    @overload  # type: ignore[override]
    def __call__(self, source: Image, *, bgr: bool = False, speed: Speed | None = None) -> Detections: ...
    @overload
    def __call__(
        self, source: list[Any] | tuple[Any, ...], *, bgr: bool = False, speed: Speed | None = None
    ) -> list[Detections]: ...
    def __call__(self, source: Any, *, bgr: bool = False, speed: Speed | None = None) -> Detections | list[Detections]:
        """Find objects in one picture, or in each of a list or tuple; see Classifier."""
        return cast("Detections | list[Detections]", super().__call__(source, bgr=bgr, speed=speed))

    if TYPE_CHECKING:

        def stream(
            self,
            source: str | os.PathLike[str],
            *,
            on_event: Callable[[Event], None] | None = None,
            on_error: Callable[[EdgevitError], None] | None = None,
            on_picture: Callable[[NDArray[np.uint8], Moment], None] | None = None,
            on_black: Callable[[Moment], None] | None = None,
            stop: Stop | None = None,
            **options: Unpack[StreamKeywords],
        ) -> Generator[Detections, None, None]: ...

    def in_tiles(
        self, source: Image, columns: int, rows: int, *, bgr: bool = False, speed: Speed | None = None
    ) -> Detections:
        """Find objects in one picture that are small in it: in overlapping tiles of it, and in the whole of it.

        It takes as many answers of the model as there are tiles, and one more.

        Args:
            source: the picture, as for calling the detector.
            columns: tiles in a row.
            rows: rows of tiles.
            bgr: arrays hold blue, green, red.
            speed: how carefully it is prepared, as for calling the detector.

        Raises:
            OptionError: a number of tiles is none, or there is no such speed.
            ImageError: the picture cannot be read.
            ModelFileError: the model fails, or answers with something that is not a number.
        """
        columns, rows = (check_argument(Tiles, value, name) for name, value in (("columns", columns), ("rows", rows)))
        start = time.perf_counter()
        image = read_image(source, bgr=bgr, levels=self.preprocess.levels)
        read_ms = 1e3 * (time.perf_counter() - start)
        found = detect_in_tiles(lambda parts: self(parts, speed=speed or speed_for(source)), image, columns, rows)
        return replace(found, source=source_name(source), preprocess_ms=read_ms + found.preprocess_ms)

    def find(
        self,
        source: Image,
        *,
        threshold: float | None = None,
        overlap: float | None = None,
        candidates: int | None = None,
        most: int = MOST,
        bgr: bool = False,
        speed: Speed | None = None,
    ) -> FoundBoxes:
        """Return what is found in one picture, the surest first, in pixels of it, within it.

        Args:
            source: the picture, as for calling the detector.
            threshold: least score, 0..1, of all classes; None for what is told otherwise.
            overlap: intersection over union, 0..1, above which the less sure of two boxes of a class is left out; None
                for the one in the model's file.
            candidates: how many boxes may reach that comparison, the surest; None for 300, or with anchors 1000 of
                each level.
            most: how many are returned.
            bgr: arrays hold blue, green, red.
            speed: how carefully it is prepared, as for calling the detector.

        Raises:
            OptionError: one of these is of another type, or out of its range.
            ImageError: the picture cannot be read.
            ModelFileError: the model fails, or answers with something that is not a number.
        """
        limits = Limits(threshold, overlap, candidates, most)
        prepared = prepare(source, self.preprocess, bgr=bgr, speed=speed)
        answers = self.outputs(prepared.values[None])
        found = self._found([answer[0] for answer in answers], prepared, limits)
        return found if threshold is not None else found.above(self._thresholds.tolist())

    def _found(self, answers: Sequence[Floats], prepared: Prepared, limits: Limits) -> FoundBoxes:
        """Return what is found in a picture, in the pixels that it has in full."""
        if limits.threshold is None:
            floor = min(float(self._thresholds.min()), 1.0 if self._least is None else self._least)
            limits = replace(limits, threshold=floor)
        found = self._decoder.find(answers, limits)
        height, width = prepared.image.shape[:2]
        return to_picture(found, (height, width), self.preprocess, prepared.full_size)

    def _classify(self, sources: Sequence[Any], bgr: bool, speed: Speed | None) -> list[Result]:
        prepared = [prepare(source, self.preprocess, bgr=bgr, speed=speed) for source in sources]
        start = time.perf_counter()
        outputs = self.outputs(np.stack([each.values for each in prepared]))
        inference_ms = 1e3 * (time.perf_counter() - start) / len(sources)
        results: list[Result] = []
        for number, (source, before) in enumerate(zip(sources, prepared, strict=True)):
            start = time.perf_counter()
            found = self._found([output[number] for output in outputs], before, Limits())
            times = (before.took_ms, inference_ms, 1e3 * (time.perf_counter() - start))
            results.append(self._result(source, before, found, times))
        return results

    def _result(
        self,
        source: Any,
        prepared: Prepared,
        found: FoundBoxes,
        times_ms: tuple[float, float, float],
    ) -> Detections:
        told = found.above(self._thresholds.tolist())
        weak = None
        if self._least is not None:
            below = found.scores < self._thresholds[found.classes]
            weak = FoundBoxes(found.boxes[below], found.scores[below], found.classes[below])
        surest: Floats = np.zeros(len(self.names), np.float32)
        np.maximum.at(surest, told.classes, told.scores)
        return Detections(
            surest,
            self.names,
            source_name(source),
            *times_ms,
            multi_label=True,
            boxes=told.boxes,
            scores=told.scores,
            classes=told.classes,
            weak=weak,
            image=prepared.image,
            full_size=prepared.full_size,
        )

    def outputs(self, inputs: Floats) -> tuple[Floats, ...]:  # type: ignore[override]
        """Return the model's own answers, (B, ...) each, for prepared inputs (B, 3, H, W).

        Raises:
            ModelFileError: the model fails, or answers in another form or with something that is not a number.
        """
        outputs = self._session.run_outputs(inputs)
        self._decoder.check([output.shape[1:] for output in outputs], len(self.names))
        if not all(np.isfinite(output).all() for output in outputs):
            raise ModelFileError("the model answered NaN or infinity; run: edgevit selftest MODEL, or export it again")
        return outputs
