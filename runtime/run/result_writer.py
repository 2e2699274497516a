"""From a stream to its sinks: answers and events become records, with the pictures that they came from."""

from collections.abc import Sequence

from edgevit.errors import ImageError
from edgevit.runtime.events.event import Event
from edgevit.runtime.images.regions import Region, cut
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Sink, event_record, result_record
from edgevit.runtime.results import Result


class ResultWriter:
    """Three callbacks of a stream; all are called from the thread that reads it.

    writer = ResultWriter(sinks)
    for result in classifier.stream(source, stable="3/5", on_event=writer.event, on_picture=writer.picture):
        writer.result(result)
    """

    def __init__(self, sinks: Sink, *, regions: Sequence[Region] = (), top_k: int = 5, threshold: float = 0.0) -> None:
        """Write to sinks, which stay the caller's to close.

        Args:
            sinks: take all records.
            regions: of the picture, so that sinks that draw get what was classified.
            top_k: classes in a result's JSON.
            threshold: classes below are left out of it, 0..1.
        """
        self._sinks = sinks
        self._regions = {region.name: region for region in regions}
        self._top_k, self._threshold = top_k, threshold
        self._picture: tuple[Moment, RGBImage] | None = None
        self._result: Result | None = None

    def picture(self, image: RGBImage, moment: Moment) -> None:
        """Take the whole (H, W, 3) picture, before the answers for it."""
        self._picture = (moment, image)

    def result(self, result: Result) -> None:
        """Take the answer for a frame or a region of it."""
        moment = result.moment
        if moment is None:
            raise ImageError("only answers of a stream can be written: this one has no moment; use Classifier.stream")
        self._result = result
        image = self._image(moment)
        self._sinks.write(result_record(result, moment, image, k=self._top_k, threshold=self._threshold))

    def event(self, event: Event) -> None:
        """Take what the stream tells: of the answer that was taken last, of the picture, or of the source itself."""
        result = self._result if self._result is not None and self._result.moment == event.moment else None
        image = None if event.of_source else self._image(event.moment)
        self._sinks.write(event_record(event, result, image))

    def _image(self, moment: Moment) -> RGBImage | None:
        if self._picture is None:
            return None
        shown, image = self._picture
        if (shown.source, shown.sequence) != (moment.source, moment.sequence):
            return None
        return cut(image, self._regions[moment.roi]) if moment.roi in self._regions else image
