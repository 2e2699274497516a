"""From a stream to its sinks: answers and pictures become records, and, where rules say so, events."""

from collections.abc import Sequence

from edgevit.errors import ImageError
from edgevit.runtime.events.event import Event
from edgevit.runtime.events.watch import Watch
from edgevit.runtime.images.regions import Region, cut
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Sink, event_record, result_record
from edgevit.runtime.results import Result


class ResultWriter:
    """Three callbacks of a stream; all are called from the thread that reads it.

    writer = ResultWriter(sinks, Watch(rules, health))
    for result in classifier.stream(source, on_event=writer.event, on_picture=writer.picture):
        writer.result(result)
    """

    def __init__(
        self,
        sinks: Sink,
        watch: Watch | None = None,
        *,
        regions: Sequence[Region] = (),
        top_k: int = 5,
        threshold: float = 0.0,
    ) -> None:
        """Write to sinks, which stay the caller's to close.

        Args:
            sinks: take all records.
            watch: finds events; None for answers alone.
            regions: of the picture, so that sinks that draw get what was classified.
            top_k: classes in a result's JSON.
            threshold: classes below are left out of it, 0..1.
        """
        self._sinks, self._watch = sinks, watch
        self._regions = {region.name: region for region in regions}
        self._top_k, self._threshold = top_k, threshold
        self._picture: tuple[int, RGBImage] | None = None

    def picture(self, image: RGBImage, moment: Moment) -> None:
        """Take the whole (H, W, 3) picture, before the answers for it."""
        self._picture = (moment.sequence, image)
        for event in self._watch.look(image, moment) if self._watch else ():
            self._sinks.write(event_record(event, image=image))

    def result(self, result: Result) -> None:
        """Take the answer for a frame or a region of it."""
        moment = result.moment
        if moment is None:
            raise ImageError("only answers of a stream can be written: this one has no moment; use Classifier.stream")
        image = self._image(moment)
        self._sinks.write(result_record(result, moment, image, k=self._top_k, threshold=self._threshold))
        for event in self._watch.see(result, moment) if self._watch else ():
            self._sinks.write(event_record(event, result, image))

    def event(self, event: Event) -> None:
        """Take what the stream itself tells: that the source was lost, or is back."""
        if event.kind == "source_lost" and self._watch:
            self._watch.gap(event.moment.source)
        self._sinks.write(event_record(event))

    def _image(self, moment: Moment) -> RGBImage | None:
        if self._picture is None or self._picture[0] != moment.sequence:
            return None
        image = self._picture[1]
        return cut(image, self._regions[moment.roi]) if moment.roi in self._regions else image
