"""From a stream to its sinks: answers and events become records, with the pictures that they came from."""

import dataclasses
from collections.abc import Sequence

from edgevit.errors import ImageError
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.events.event import Event
from edgevit.runtime.events.labels import LabelRules, LabelState, frame_vote, next_state
from edgevit.runtime.events.recent import Recent
from edgevit.runtime.images.regions import Region, cut
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Record, Sink, event_record, result_record
from edgevit.runtime.results import Result
from edgevit.runtime.stream.detections import FullNotice


def answer_record(
    result: Result, moment: Moment, image: RGBImage | None = None, *, top_k: int, rules: LabelRules
) -> Record:
    """Return the record of an answer with at most top_k classes, which reach the rules' thresholds."""
    return result_record(result, moment, image, k=top_k, threshold=rules.shown_from(result))


class ResultWriter:
    """Three callbacks of a stream; all are called from the thread that reads it.

    writer = ResultWriter(sinks)
    for result in classifier.stream(source, stable="3/5", on_event=writer.event, on_picture=writer.picture):
        writer.result(result)
    """

    def __init__(
        self,
        sinks: Sink,
        *,
        regions: Sequence[Region] = (),
        top_k: int = 5,
        rules: LabelRules = LabelRules(),  # noqa: B008 (frozen)
    ) -> None:
        """Write to sinks, which stay the caller's to close.

        Args:
            sinks: take all records.
            regions: of the picture, so that sinks that draw get what was classified.
            top_k: classes in a result's JSON.
            rules: classes below their thresholds are left out of it; they also say which label is present.
        """
        self._sinks = sinks
        self._regions = {region.name: region for region in regions}
        self._top_k, self._rules = top_k, rules
        self._labels: Recent[tuple[str, str | None], LabelState] = Recent()
        self._picture: tuple[Moment, RGBImage] | None = None
        self._result: Result | None = None
        self._notice = FullNotice()

    def picture(self, image: RGBImage, moment: Moment) -> None:
        """Take the whole (H, W, 3) picture, before the answers for it."""
        self._picture = (moment, image)

    def result(self, result: Result) -> None:
        """Take the answer for a frame or a region of it."""
        moment = result.moment
        if moment is None:
            raise ImageError("only answers of a stream can be written: this one has no moment; use Classifier.stream")
        self._result = result
        self._notice.look(result)
        record = answer_record(result, moment, self._image(moment), top_k=self._top_k, rules=self._rules)
        self._sinks.write(self._in_its_scene(dataclasses.replace(record, present=self._present(result, moment))))

    def event(self, event: Event, *, sink: Sink | None = None) -> None:
        """Take what the stream tells: of the answer that was taken last, of the picture, or of the source itself.

        Its record goes to `sink`, and to all unless that is given.
        """
        if event.kind == "source_lost":
            for key in [key for key in self._labels if key[0] == event.moment.source]:
                self._labels[key] = self._labels[key].after_gap()
        result = self._result if self._result is not None and self._result.moment == event.moment else None
        image = None if event.of_source else self._image(event.moment)
        (sink or self._sinks).write(self._in_its_scene(event_record(event, result, image)))

    def _present(self, result: Result, moment: Moment) -> str | None:
        """Return the label that the rules leave, and the frame's own before smoothing has left one.

        There is none of areas and boxes, of which many are there at once.
        """
        if result.of_areas or isinstance(result, Detections):
            return None
        key = (moment.source, moment.roi)
        rules = self._rules.for_several() if result.multi_label else self._rules
        self._labels[key], _ = next_state(rules, self._labels.get(key, LabelState()), result, moment)
        return self._labels[key].label or frame_vote(rules, None, result)

    def _in_its_scene(self, record: Record) -> Record:
        if record.image is None:
            return record
        region = None if record.moment.roi is None else self._regions.get(record.moment.roi)
        return dataclasses.replace(record, scene=self._scene(record.moment), region=region)

    def _image(self, moment: Moment) -> RGBImage | None:
        scene = self._scene(moment)
        if scene is None or moment.roi not in self._regions:
            return scene
        return cut(scene, self._regions[moment.roi])

    def _scene(self, moment: Moment) -> RGBImage | None:
        if self._picture is None:
            return None
        shown, image = self._picture
        return image if shown.frame == moment.frame else None
