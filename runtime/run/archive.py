"""`edgevit run --jobs`: the pictures of an archive, answered by several processes, each exactly once."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edgevit.errors import EdgevitError, ImageError, OptionError, OutputError
from edgevit.runtime.records import error_record
from edgevit.runtime.run.archive_rows import Open, Rows, open_rows
from edgevit.runtime.run.model import open_model
from edgevit.runtime.run.options import RunOptions
from edgevit.runtime.run.summary import RunProgress, RunSummary
from edgevit.runtime.sinks.combining import Written
from edgevit.runtime.sinks.row_file import RowFile
from edgevit.runtime.sources.files import list_paths, picture_frame, picture_name
from edgevit.runtime.sources.frames import Clock, Frame
from edgevit.runtime.sources.grammar import Source, is_video
from edgevit.runtime.sources.sample import sample_for
from edgevit.runtime.sources.stop import Stop
from edgevit.runtime.workers.child import Opening
from edgevit.runtime.workers.pool import answered

TELL_S = 1.0
"""How often progress is told, in seconds."""

Place = tuple[Source, Path, int]
"""A picture: its source, its path, and its number in the source."""


def run_archive(
    options: RunOptions,
    on_error: Callable[[EdgevitError], None],
    on_progress: Callable[[RunProgress], None] | None = None,
    stop: Stop | None = None,
    open_predictor: Open = open_model,
) -> RunSummary:
    """Answer the pictures of files and folders in `options.jobs` processes, and write their rows; see `run`.

    Raises:
        EdgevitError: the model cannot be opened, the file cannot be written, there are no pictures, or a worker fails.
    """
    stop = stop or Stop()
    # what is wrong with the model is said here, once, and before anything is written
    predictor = open_predictor(options)
    task, names = predictor.task, predictor.names
    predictor.close()
    options.check_model(task, names)
    sources = options.plan.sources
    listed = [(source, _listed(sample_for(task, source), alone=len(sources) == 1)) for source in sources]
    _check_pictures([path for _, paths in listed for path in paths])
    several = len(options.plan.told(task)) + (task == "detect") > 1
    with contextlib.closing(RowFile(options.archive_file, resume=options.resume, several=several)) as file:
        places, skipped = _places_left(listed, file.done)
        if file.done and not skipped:
            raise OutputError(
                f"{file.path} has rows, but of none of these pictures; name them as the first time, or choose another "
                "file"
            )
        archive = _Archive(options, file, len(places), on_error, on_progress or _keep_silent)
        opening = Opening(open_rows, (options, open_predictor))
        count = min(options.jobs or 1, len(places))
        with contextlib.closing(answered(opening, _frames(places), count, stop)) as answers:
            for frame, answer in answers:
                archive.take(frame, answer)
        archive.end()
    written = (Written(file.written, "line", str(file.path)),)
    frames = archive.done - archive.unreadable
    return RunSummary(archive.results, archive.unreadable, False, frames, written=written, skipped=skipped)


class _Archive:
    """What is done with each answer, and counted."""

    def __init__(
        self,
        options: RunOptions,
        file: RowFile,
        total: int,
        on_error: Callable[[EdgevitError], None],
        on_progress: Callable[[RunProgress], None],
    ) -> None:
        self._options, self._file, self._total = options, file, total
        self._on_error, self._on_progress = on_error, on_progress
        self._begun_s = self._told_s = time.monotonic()
        self.done = self.results = self.unreadable = 0

    def take(self, frame: Frame, answer: Rows | None) -> None:
        """Write the rows of a picture; no answer means that it has ended its worker."""
        self.done += 1
        if answer is not None and answer.error is None:
            self._file.write(answer.rows)
            self.results += len(answer.rows)
        else:
            self._note(frame, answer)
        if time.monotonic() - self._told_s >= TELL_S:
            self._tell()

    def end(self) -> None:
        if self._total:
            self._tell()

    def _note(self, frame: Frame, answer: Rows | None) -> None:
        name = frame.moment.source
        if answer is None or answer.error is None:
            error = ImageError(f"{name} ended the process that was to answer it, twice; look at it by itself")
            row = error_record(error, frame.moment, "crash")
        else:
            error, row = answer.error, error_record(answer.error, frame.moment)
        self.unreadable += 1
        self._on_error(error)
        if self._options.errors == "row":
            self._file.write([row.to_json()])

    def _tell(self) -> None:
        self._told_s = time.monotonic()
        progress = RunProgress(self.done, self._total, self.unreadable, self._told_s - self._begun_s)
        self._on_progress(progress)


def _keep_silent(progress: RunProgress) -> None:
    """Leave progress to those who ask for it."""


def _listed(source: Source, *, alone: bool) -> list[Path]:
    """Return the pictures of a source; one of several that is not there is a picture that cannot be read."""
    try:
        return list(list_paths(source))
    except ImageError:
        if alone:
            raise
        return [Path(source.address)]


def _check_pictures(paths: list[Path]) -> None:
    video = next((path for path in paths if is_video(path)), None)
    if video is not None:
        raise OptionError(f"{video} is a video, and --jobs reads pictures; run it by itself")


def _places_left(listed: list[tuple[Source, list[Path]]], done: set[str]) -> tuple[list[Place], int]:
    """Return the pictures that have no rows yet, each once though it may be named twice, and how many have."""
    places, skipped = [], 0
    seen: set[str] = set()
    for source, paths in listed:
        for index, path in enumerate(paths):
            name = picture_name(source, path)
            if name in seen:
                continue
            # one source names nothing twice: the names of millions of pictures need not be kept
            if len(listed) > 1:
                seen.add(name)
            if name in done:
                skipped += 1
            else:
                places.append((source, path, index))
    return places, skipped


def _frames(places: list[Place]) -> Iterator[Frame]:
    clock = Clock()
    for source, path, index in places:
        yield picture_frame(path, picture_name(source, path), index, clock)
