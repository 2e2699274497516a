"""Semantic segmentation: a class for every pixel of a picture."""

import os
import time
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Unpack, cast, overload

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Manifest, MaskOutput, Preprocess
from edgevit.errors import ModelFileError
from edgevit.runtime.backends.session import Session
from edgevit.runtime.classifier import Classifier, Image, source_name
from edgevit.runtime.images.masks import Mask, bilinear_mask, class_areas, nearest_mask
from edgevit.runtime.images.prepare import prepare
from edgevit.runtime.images.preprocess import Speed
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.results import Result
from edgevit.runtime.segmentation import Segmentation

if TYPE_CHECKING:
    from edgevit.errors import EdgevitError
    from edgevit.runtime.events.event import Event
    from edgevit.runtime.moment import Moment
    from edgevit.runtime.sources.stop import Stop
    from edgevit.runtime.stream.options import StreamKeywords


class Segmenter(Classifier):
    """A loaded segmentation model; made by `load`. Calling it with a picture returns a Segmentation."""

    task = "segment"
    whole_pictures = True

    def __init__(
        self,
        session: Session,
        preprocessing: Preprocess,
        names: tuple[str, ...],
        manifest: Manifest | None,
        pixels: MaskOutput | None = None,
    ) -> None:
        """Take `pixels` from the manifest unless given.

        Raises:
            ModelFileError: nothing says what the answers mean.
        """
        super().__init__(session, preprocessing, names, manifest)
        found = pixels or (manifest.pixels if manifest is not None else None)
        if found is None or len(found.palette) != len(names):
            raise ModelFileError("the model's document does not say what its answers mean; export it again")
        self.pixels: MaskOutput = found

    # a list of Segmentations is no list[Result] to a type checker, as somebody might append to it; nobody does
    @overload  # type: ignore[override]
    def __call__(self, source: Image, *, bgr: bool = False, speed: Speed | None = None) -> Segmentation: ...
    @overload
    def __call__(
        self, source: list[Any] | tuple[Any, ...], *, bgr: bool = False, speed: Speed | None = None
    ) -> list[Segmentation]: ...
    def __call__(
        self, source: Any, *, bgr: bool = False, speed: Speed | None = None
    ) -> Segmentation | list[Segmentation]:
        """Segment one picture, or each of a list or tuple; see Classifier."""
        return cast("Segmentation | list[Segmentation]", super().__call__(source, bgr=bgr, speed=speed))

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
        ) -> Generator[Segmentation, None, None]: ...

    def _classify(self, sources: Sequence[Any], bgr: bool, speed: Speed | None) -> list[Result]:
        prepared = [prepare(source, self.preprocess, bgr=bgr, whole=True, speed=speed) for source in sources]
        start = time.perf_counter()
        outputs = self.outputs(np.stack([each.values for each in prepared]))
        inference_ms = 1e3 * (time.perf_counter() - start) / len(sources)
        return [
            self._result(source, before.image, output, before.took_ms, inference_ms)
            for source, before, output in zip(sources, prepared, outputs, strict=True)
        ]

    def _result(
        self, source: Any, image: RGBImage, output: NDArray[np.float32], preprocess_ms: float, inference_ms: float
    ) -> Segmentation:
        start = time.perf_counter()
        mask, count = self.mask(output, image.shape[:2]), len(self.names)
        areas = class_areas(mask, count)
        return Segmentation(
            probs=areas,
            names=self.names,
            source=source_name(source),
            preprocess_ms=preprocess_ms,
            inference_ms=inference_ms,
            postprocess_ms=1e3 * (time.perf_counter() - start),
            mask=mask,
            image=image,
            palette=self.pixels.palette,
            logits=None if self.pixels.classes_in_graph else output,
        )

    def mask(self, output: NDArray[np.float32], size: tuple[int, int]) -> Mask:
        """Return the mask of one answer of the model for a picture of (height, width)."""
        if self.pixels.classes_in_graph:
            return nearest_mask(output[0], size, len(self.names))
        return bilinear_mask(output, size)

    def outputs(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the model's own answers for prepared inputs (B, 3, H, W).

        They are logits (B, classes, H / stride, W / stride), or class numbers (B, 1, H / stride, W / stride).

        Raises:
            ModelFileError: the model fails, or answers in another form or with something that is not a number.
        """
        outputs, pixels = self._session.run(inputs), self.pixels
        channels = 1 if pixels.classes_in_graph else len(self.names)
        expected = (len(inputs), channels, *(side // pixels.stride for side in inputs.shape[2:]))
        if outputs.shape != expected:
            raise ModelFileError(
                f"the model answers with shape {outputs.shape}, but its document says {expected}; export it again"
            )
        if not np.isfinite(outputs).all():
            raise ModelFileError("the model answered NaN or infinity; run: edgevit selftest MODEL, or export it again")
        if pixels.classes_in_graph and not (outputs.min() >= 0 and outputs.max() < len(self.names)):
            raise ModelFileError(f"the model answers with classes that are none of its {len(self.names)}; export again")
        return outputs
