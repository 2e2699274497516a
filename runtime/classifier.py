"""The front door of the runtime: load a model, call it with an image."""

import os
import time
from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Manifest, Preprocess
from edgevit.errors import EdgevitError, ModelFileError, OptionError
from edgevit.runtime.backends.meaning import Meaning, OutputMeaning
from edgevit.runtime.backends.session import Session
from edgevit.runtime.images.prepare import prepare
from edgevit.runtime.images.preprocess import Speed
from edgevit.runtime.results import Result
from edgevit.schema import check_functions, options_from

if TYPE_CHECKING:
    from edgevit.runtime.detection.decode import BoxDecoder
    from edgevit.runtime.events.event import Event
    from edgevit.runtime.events.labels import LabelRules
    from edgevit.runtime.moment import Moment
    from edgevit.runtime.selftest import SelfTestReport
    from edgevit.runtime.sources.stop import Stop
    from edgevit.runtime.stream.options import StreamKeywords


class PillowImage(Protocol):
    """A PIL.Image.Image; Pillow itself is not needed."""

    @property
    def mode(self) -> str: ...
    def convert(self, mode: str) -> Any: ...
    def getexif(self) -> Any: ...


Image = str | os.PathLike[str] | bytes | NDArray[np.uint8] | PillowImage
"""A path, the bytes of an image file, a uint8 array (H, W, 3), or a Pillow image."""


class Classifier:
    """A loaded model; made by `load`. It may be called from several threads at once."""

    task = "classify"
    whole_pictures = False
    """Whether huge pictures must be decoded at full size, because the answer is about each of their pixels."""
    sha256: str | None = None
    """Digest of the file as it was opened, where somebody wanted to know it."""
    _decoder: "BoxDecoder | None" = None
    """What makes boxes of the outputs of a detection model."""
    _open_again: "Callable[[], Classifier] | None" = None
    """What opens the same file anew, as another process does that this model is sent to."""

    def __init__(
        self,
        session: Session,
        preprocessing: Preprocess,
        names: tuple[str, ...],
        manifest: Manifest | None,
        meaning: OutputMeaning | None = None,
    ) -> None:
        """Take the answers for logits of the classes, or for probabilities if the session says so, unless told."""
        own: Meaning = "probabilities" if session.tensors.probabilities else "logits"
        self.meaning = meaning or OutputMeaning(len(names), own)
        self.names = self.meaning.names(names)
        self.preprocess = preprocessing
        self.manifest = manifest
        """None for a model that edgevit did not export."""
        self._session = session
        # what one run holds in memory is bounded, however long the list of images is
        self._batch = session.input_shape[0] or 8
        self._closers: set[Callable[[], None]] = set()
        """What ends the streams that are open."""

    @overload
    def __call__(self, source: Image, *, bgr: bool = False, speed: Speed | None = None) -> Result: ...
    @overload
    def __call__(
        self, source: list[Any] | tuple[Any, ...], *, bgr: bool = False, speed: Speed | None = None
    ) -> list[Result]: ...
    def __call__(self, source: Any, *, bgr: bool = False, speed: Speed | None = None) -> Result | list[Result]:
        """Classify one image, or each of a list or tuple.

        Args:
            source: a path, the bytes of an image file, a uint8 array (H, W, 3), a Pillow image, or a list of those.
            bgr: arrays hold blue, green, red, as OpenCV's frames do; they are taken for RGB otherwise.
            speed: how carefully pictures are prepared: "usual" as image files are, or "fast" as frames are, a few
                values of which are a level off. None for "fast" of arrays and "usual" of all else.

        Raises:
            ImageError: an image cannot be read.
            OptionError: there is no such speed, or `bgr` is neither True nor False.
            ModelFileError: the model fails, or answers with something that is not a number.
        """
        if isinstance(source, list | tuple):
            parts = [source[start : start + self._batch] for start in range(0, len(source), self._batch)]
            return [result for part in parts for result in self._classify(part, bgr, speed)]
        return self._classify([source], bgr, speed)[0]

    def _classify(self, sources: Sequence[Any], bgr: bool, speed: Speed | None) -> list[Result]:
        inputs, preprocess_ms = [], []
        for source in sources:
            # one decoded picture is in memory at a time
            prepared = prepare(source, self.preprocess, bgr=bgr, speed=speed)
            inputs.append(prepared.values)
            preprocess_ms.append(prepared.took_ms)
        start = time.perf_counter()
        outputs = self.outputs(np.stack(inputs))
        inferred = time.perf_counter()
        probabilities = self.meaning.probabilities(outputs)
        inference_ms = 1e3 * (inferred - start) / len(sources)
        postprocess_ms = 1e3 * (time.perf_counter() - inferred) / len(sources)
        return [
            Result(
                probs,
                self.names,
                source_name(source),
                before_ms,
                inference_ms,
                postprocess_ms,
                multi_label=self.meaning.multi_label,
            )
            for source, probs, before_ms in zip(sources, probabilities, preprocess_ms, strict=True)
        ]

    def stream(
        self,
        source: str | os.PathLike[str],
        *,
        on_event: Callable[["Event"], None] | None = None,
        on_error: Callable[[EdgevitError], None] | None = None,
        on_picture: Callable[[NDArray[np.uint8], "Moment"], None] | None = None,
        on_black: Callable[["Moment"], None] | None = None,
        stop: "Stop | None" = None,
        **options: Unpack["StreamKeywords"],
    ) -> Generator[Result, None, None]:
        """Return an iterator over the answers for a file, folder, video, camera or stream; see docs/sources.md.

        Its threads and processes end when it is closed, or the classifier is.

        Args:
            source: as for `edgevit run`.
            on_event: is told when a live source is lost, comes back or freezes; and, if `stable`, `hysteresis`,
                `cooldown` or `threshold` is given, when the label changes or a live picture is too dark, too bright,
                blurred or frozen. A detector's thresholds only say which boxes count. By default events are logged,
                those for no more than a threshold for all classes not.
            on_error: is told which pictures could not be read and were skipped, of a camera the first in a row; by
                default that is logged.
            on_picture: is shown every decoded (H, W, 3) picture, also those too black to be classified.
            on_black: is told of each live picture that is too black to be classified.
            stop: ends the stream after the frame in hand when it is asked, as by a signal handler.
            options: the command line's, in Python's spelling: every="5s", roi=["gate=0,0,0.5,1"], stable="3/5"; see
                StreamOptions.

        Raises:
            EdgevitError: at once for a wrong source, or an option that is wrong or does not exist; while iterating,
                SourceLostError with wait=False, and whatever calling the classifier raises, but for ImageError.
        """
        # a script that looks at single pictures should not wait for the import of what streams need
        from edgevit.runtime.sources.stop import check_stop
        from edgevit.runtime.stream.loop import StreamCallbacks
        from edgevit.runtime.stream.options import StreamOptions
        from edgevit.runtime.stream.plan import plan_stream
        from edgevit.runtime.stream.watched import open_watch, watched_stream

        check_functions(on_event=on_event, on_error=on_error, on_picture=on_picture, on_black=on_black)
        checked = options_from(StreamOptions, options)
        checked.check_model(self.task, self.names)
        if not isinstance(source, str | os.PathLike):
            raise OptionError(
                f"the source is a {type(source).__name__}, expected a path or an address; call the model itself with "
                "a picture or a list of them"
            )
        plan = plan_stream([os.fspath(source)], checked)
        callbacks = StreamCallbacks(on_event, on_error, on_picture, on_black)
        # answers come with all their classes: a threshold for all can say nothing but which labels are events
        believed = on_event is not None and self.task != "detect" and checked.label_rules.threshold is not None
        watch = open_watch(checked, plan) if checked.asks_for_events(self.task) or believed else None
        model = self.with_rules(checked.label_rules, checked.least_score)
        return watched_stream(model, plan, callbacks, watch, check_stop(stop), self._closers)

    def with_rules(self, rules: "LabelRules", least: float | None = None) -> "Self":
        """Return this model as one whose answers follow the rules' thresholds, as far as they concern answers.

        Classes are told with their probabilities whatever these are, so that this is the classifier itself.

        Args:
            rules: their thresholds.
            least: score of boxes that are to be known though they do not count, 0..1; None for none.
        """
        return self

    def outputs(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the model's own (B, classes), or (B, 1) of a yes or no, for prepared inputs (B, 3, H, W).

        Raises:
            ModelFileError: the model fails, or answers with something that is not a number for each label.
        """
        outputs = self._session.run(inputs)
        if outputs.shape[1] != self.meaning.count:
            raise ModelFileError(f"the model answers for {outputs.shape[1]} classes, but has {len(self.names)} labels")
        if not np.isfinite(outputs).all():
            raise ModelFileError("the model answered NaN or infinity; run: edgevit selftest MODEL, or export it again")
        return outputs

    def selftest(self) -> "SelfTestReport":
        """Check that this model, as it is open, answers as its export did.

        Raises:
            ModelFileError: it carries no self-test.
            GateError: a figure differs by more than its tolerance.
        """
        from edgevit.runtime.selftest import check_cases

        if self.manifest is None or self.manifest.selftest is None or not self.manifest.selftest.cases:
            raise ModelFileError("the model holds no self-test; export it with edgevit")
        return check_cases(self._session, self.preprocess, self.manifest.selftest, self._decoder)

    def opened_by(self, open_again: Callable[[], "Classifier"]) -> Self:
        """Note what opens the same file anew, which a pickle holds in place of the model; return this model."""
        self._open_again = open_again
        return self

    def __reduce__(self) -> tuple[Callable[[], "Classifier"], tuple[()], dict[str, Any]]:
        """Return the file's path and how it was opened: the weights do not travel.

        Raises:
            ModelFileError: it was not opened by `load`.
        """
        if self._open_again is None:
            raise ModelFileError("only a model that edgevit.load has opened can be pickled")
        return self._open_again, (), self._told()

    def _told(self) -> dict[str, Any]:
        """Return what another process must know besides how the file was opened."""
        return {"names": self.names}

    def __setstate__(self, told: dict[str, Any]) -> None:
        """Take what was told.

        Raises:
            ModelFileError: the file is another one by now.
        """
        if told["names"] != self.names:
            self.close()
            raise ModelFileError("the model's file has other classes than when it was pickled; pickle it again")
        vars(self).update(told)

    def __copy__(self) -> Self:
        """Return one more that shares the open model."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        return other

    def close(self) -> None:
        """End all streams, and free the model."""
        for closer in tuple(self._closers):
            closer()
        self._session.close()

    def __repr__(self) -> str:
        known = [] if self.manifest is None else [repr(self.manifest.model), self.manifest.precision]
        height, width = self.preprocess.size
        facts = [*known, f"{len(self.names)} classes", f"{height}x{width}", self._session.runtime]
        return f"{type(self).__name__}({', '.join(facts)})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def source_name(source: Any) -> str | None:
    """Return the path of what was given as one; None for arrays, bytes and Pillow images."""
    return os.fspath(source) if isinstance(source, str | os.PathLike) else None
