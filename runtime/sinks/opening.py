"""From what `--to` says to open sinks."""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgevit.errors import OptionError
from edgevit.runtime.addresses.address import Address
from edgevit.runtime.addresses.credentials import read_secret
from edgevit.runtime.addresses.destinations import STDOUT, Target, takes_errors
from edgevit.runtime.board.news import StatusNews
from edgevit.runtime.board.report import BoardReport
from edgevit.runtime.board.status import MESSAGE_S
from edgevit.runtime.delivery.count_states import CountStates
from edgevit.runtime.delivery.line_states import LineStates
from edgevit.runtime.delivery.sender import Delivery, SpooledSink
from edgevit.runtime.delivery.spool import Spool
from edgevit.runtime.detection.yolo_text import class_lines, write_once
from edgevit.runtime.events.labels import LabelRules
from edgevit.runtime.records import ERROR, RESULT, Record, Sink, event_record
from edgevit.runtime.sinks.answer_files import AnswerFileSink, find_form
from edgevit.runtime.sinks.combining import CountingSink, DiskGuard, FilteredSink, Sinks, Wants, Written
from edgevit.runtime.sinks.folder import BoundedFolder
from edgevit.runtime.sinks.hard_boxes import BoxHarvestSink, UnsureRules
from edgevit.runtime.sinks.lines import FIRST_JSON, FIRST_TEXT, JsonSink, Lines, Stdout, TextSink
from edgevit.runtime.sinks.pictures import Captions, HarvestSink, PictureSink, VideoSink
from edgevit.runtime.sinks.rotating import ANY_LINE, KEEP, SIZE, RotatingFile
from edgevit.runtime.sinks.tables import CsvSink, Table, box_table, class_table, count_table, event_table
from edgevit.system.platforms import require_linux

PICTURES_QUOTA = 1_000_000_000
"""Bytes of annotated pictures that are kept if nothing else is said."""
HARVEST_QUOTA = 500_000_000
"""Bytes of hard frames that are kept if nothing else is said."""
SPOOL_QUOTA = 200_000_000
"""Bytes that wait for one destination: about half a million events."""

_WANTS: dict[str, Wants] = {
    "events": lambda kind: kind not in (RESULT, ERROR),
    "results": lambda kind: kind == RESULT,
    "all": lambda kind: kind != ERROR,
}
_SENDS = {"mqtt": "events", "webhook": "events"}
_SENDS |= dict.fromkeys(("csv", "pictures", "video", "hard", "masks", "overlays", "labels"), "results")
"""What a kind takes if nothing else is said; the others take all."""


def default_spool_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where spools live: a systemd service's state directory, else below the user's."""
    if state := environment.get("STATE_DIRECTORY"):
        return Path(state.split(":")[0]) / "spool"
    home = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "edgevit" / "spool"


@dataclass(frozen=True)
class SinkContext:
    """What sinks need to know of the run."""

    task: str = "classify"
    """What the model does."""
    board: BoardReport | None = None
    """What brokers are told of the board."""
    names: tuple[str, ...] = ()
    """The model's classes."""
    top_k: int = 5
    rules: LabelRules = LabelRules()
    """Classes below their threshold are left out of texts, boxes everywhere."""
    watched: tuple[str, ...] = ()
    """Classes that rules of counts are about."""
    lines: tuple[str, ...] = ()
    """Lines whose crossings are counted."""
    alone: bool = False
    """There is one image: its name need not be printed."""
    fps: float = 10.0
    """Frames a second of a video that is written."""
    device: str = ""
    """Name for Home Assistant; the machine's if empty."""
    rois: tuple[str, ...] = ()
    """Regions that Home Assistant is told of."""
    source: str = ""
    """Name of what is read, for the states that a broker is told at the start."""
    roots: tuple[Path, ...] = ()
    """The folders of pictures that are read."""
    spool: Path = field(default_factory=default_spool_folder)
    spool_quota: int = SPOOL_QUOTA
    """Bytes for each destination."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def captions(self) -> Captions:
        """What is written on frames."""
        whole = self.task == "detect" or not self.rois
        return Captions(self.top_k, self.rules, len(self.rois) + whole)


def open_sinks(targets: Iterable[Target], around: SinkContext) -> Sinks:
    """Open what each `--to` names; all or none.

    Raises:
        OptionError: one is not for this model.
        OutputError: one cannot be written.
        MissingExtraError: a package for one is not installed.
    """
    opened: list[Sink] = []
    try:
        for target in targets:
            opened.append(open_sink(target, around))
    except Exception:
        Sinks(opened).close()
        raise
    return Sinks(opened)


def needs_pictures(targets: Iterable[Target]) -> bool:
    """Tell whether one of the sinks keeps pictures; only then must a stream hand them over."""
    return any(target.kind in ("pictures", "video", "hard") for target in targets)


def open_sink(target: Target, around: SinkContext) -> Sink:
    """Open one; it takes what its target sends.

    Raises:
        OutputError: it cannot be written.
        UnsupportedSystemError: it has a spool, and this is not Linux.
    """
    wants = _wanted(target)
    if target.kind in DELIVERIES:
        require_linux(f"--to {target.name} sends records through a spool, which", "write them into a file, NAME.jsonl")
        delivery = DELIVERIES[target.kind](target, around)
        spool = Spool(spool_path(around.spool, target.parts, delivery.name), around.spool_quota)
        states = _broker_states(around) if target.kind == "mqtt" else _no_states
        return SpooledSink(spool, delivery, wants=wants, first=first_records(target, around), states=states)
    sink = FILES[target.kind](target, around)
    guard = DiskGuard(sink, target.name)

    def written() -> Written:
        place = str(sink.path) if isinstance(sink, VideoSink) else target.name
        left = sink.left if isinstance(sink, AnswerFileSink) else 0
        return Written(sink.written, sink.unit, place, guard.lost, left)

    hard = sink.folder if isinstance(sink, HarvestSink | BoxHarvestSink) else None
    return FilteredSink(guard, wants, written, hard)


def _wanted(target: Target) -> Wants:
    wants = _WANTS[target.sends or _SENDS.get(target.kind, "all")]
    return (lambda kind: kind == ERROR or wants(kind)) if takes_errors(target) else wants


def spool_path(folder: Path, url: Address, name: str) -> Path:
    """Return the file of a destination: readable, and another one for each.

    Args:
        folder: of all spools.
        url: its address.
        name: its delivery's, which may leave out what `url` has.
    """
    what = name if url.scheme.lower().startswith("mqtt") else url.bare
    digest = hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return folder / f"{url.scheme.lower()}-{url.host.lower()}-{digest}.sqlite"


def first_records(target: Target, around: SinkContext) -> list[Record]:
    """Return what is written first: where a broker keeps states, each as it is before the first picture."""
    if target.kind != "mqtt" or not target.options.get("retain", True):
        return []
    from edgevit.runtime.delivery.homeassistant import first_events

    counted, crossed = around.task == "detect", bool(around.lines)
    now = time.monotonic(), time.time()
    events = first_events(around.source, around.rois, *now, counted=counted, crossed=crossed)
    return [event_record(event) for event in events]


def _broker_states(around: SinkContext) -> Callable[[Record], Sequence[Record]]:
    """Return what makes of each record the states that a broker is told besides."""
    counts, lines = CountStates(around.rules.stable[1]), LineStates()
    return lambda record: [*counts.after(record), *lines.after(record)]


def _no_states(record: Record) -> tuple[Record, ...]:
    return ()


def _lines(target: Target, header: str = "", first: re.Pattern[str] = ANY_LINE) -> Lines:
    if target.place != STDOUT:
        options = target.options
        return RotatingFile(Path(target.place), options.get("size", SIZE), options.get("keep", KEEP), header, first)
    return Stdout(header)


def _text(target: Target, around: SinkContext) -> CountingSink:
    on_screen = target.place == STDOUT
    alone = around.alone and on_screen
    return TextSink(_lines(target, first=FIRST_TEXT), around.top_k, around.rules, alone=alone, on_screen=on_screen)


def _csv(target: Target, around: SinkContext) -> CountingSink:
    table = _table(target, around)
    return CsvSink(_lines(target, table.header), table)


def _table(target: Target, around: SinkContext) -> Table:
    boxes = target.options.get("rows") == "boxes"
    if boxes and (around.task != "detect" or target.sends == "events"):
        raise OptionError(f"--to {target.text}: rows=boxes is for the results of detection models; leave it out")
    if target.sends == "events":
        return event_table()
    if around.task == "detect":
        return box_table() if boxes else count_table(around.names)
    return class_table(around.top_k)


def _pictures(target: Target, around: SinkContext) -> CountingSink:
    quota = target.options.get("quota", PICTURES_QUOTA)
    # there may be one for each frame: more than a disk can flush
    return PictureSink(BoundedFolder(Path(target.place), quota, durable=False), around.captions)


def _hard(target: Target, around: SinkContext) -> CountingSink:
    folder, quota = Path(target.place), target.options.get("quota", HARVEST_QUOTA)
    if around.task == "detect":
        return BoxHarvestSink(folder, quota, around.names, UnsureRules(around.rules))
    return HarvestSink(BoundedFolder(folder, quota))


def _answer_files(target: Target, around: SinkContext) -> CountingSink:
    sink = AnswerFileSink(Path(target.place), find_form(around.task, target.kind, target.text), around.roots)
    if target.kind == "labels":
        write_once(Path(target.place) / "classes.txt", class_lines(around.names))
    return sink


def _video(target: Target, around: SinkContext) -> CountingSink:
    return VideoSink(Path(target.place), float(target.options.get("fps", around.fps)), around.captions)


def _mqtt(target: Target, around: SinkContext) -> Delivery:
    from edgevit.runtime.delivery.broker import Broker
    from edgevit.runtime.delivery.mqtt import MqttDelivery

    broker = Broker.from_target(target, around.environment)
    news = None if around.board is None else StatusNews(around.board, MESSAGE_S)

    def board(anyway: bool) -> str | None:
        status = None if news is None else news.next(anyway=anyway)
        return None if status is None else status.to_json()

    return MqttDelivery(
        broker,
        device=around.device,
        rois=around.rois,
        classes=around.names if around.task == "detect" else (),
        watched=around.watched,
        lines=around.lines,
        run=str(around.spool.absolute()),
        board=None if news is None else board,
    )


def _webhook(target: Target, around: SinkContext) -> Delivery:
    from edgevit.runtime.delivery.webhook import WebhookDelivery, headers_from

    secret = read_secret("EDGEVIT_WEBHOOK_SECRET", around.environment)
    return WebhookDelivery(target.parts, secret, headers=headers_from(target, around.environment))


FILES: dict[str, Callable[[Target, SinkContext], CountingSink]] = {
    "text": _text,
    "json": lambda target, around: JsonSink(_lines(target, first=FIRST_JSON)),
    "csv": _csv,
    "pictures": _pictures,
    "hard": _hard,
    "masks": _answer_files,
    "overlays": _answer_files,
    "labels": _answer_files,
    "video": _video,
}
"""Kinds of sinks on this machine."""
DELIVERIES: dict[str, Callable[[Target, SinkContext], Delivery]] = {"mqtt": _mqtt, "webhook": _webhook}
"""Kinds of sinks behind a network, which go through a spool."""
