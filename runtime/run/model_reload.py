"""A model that is exchanged for a newer file between two frames, if the newer one proves itself."""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import EdgevitError, ModelFileError
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.images.preprocess import Speed
from edgevit.runtime.results import Result

LOOK_S = 0.2
"""How often to look whether the end is asked for while a newer model is tested, in seconds."""

STAYS = "the old model stays: "
"""What a line about a renewal that failed begins with."""

log = logging.getLogger(__name__)


class ReloadableModel:
    """What a stream asks, in place of the classifier itself; it owns the classifiers.

    The newer file is opened and tested in a thread of its own, so that no frame waits for it.
    """

    def __init__(
        self,
        classifier: Classifier,
        open_again: Callable[[], Classifier],
        told: Callable[[str | None], None] = lambda text: None,
        asked: "queue.SimpleQueue[None] | None" = None,
        limit_s: float = 300.0,
        taken: Callable[[Classifier], None] = lambda classifier: None,
    ) -> None:
        """Begin with an open classifier.

        Args:
            classifier: what answers now.
            open_again: opens the file anew.
            told: is called from the thread: with None when a renewal begins, with a line about its outcome at its end.
            asked: what is put into it asks for a renewal.
            limit_s: how long a renewal may take; then the old model stays.
            taken: is told, from the thread that asks the model, which newer one answers from now on.
        """
        self._classifier, self._open_again, self._told = classifier, open_again, told
        self._taken = taken
        self._limit_s = limit_s
        self._newer: Classifier | None = None
        # a SimpleQueue because its put is safe in a signal handler
        self._asked: queue.SimpleQueue[None] = queue.SimpleQueue() if asked is None else asked
        self._over = False
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="edgevit renewal", daemon=True)
        self._thread.start()

    @property
    def task(self) -> str:
        return self._current().task

    @property
    def preprocess(self) -> Preprocess:
        return self._current().preprocess

    @property
    def whole_pictures(self) -> bool:
        return self._current().whole_pictures

    def __call__(self, source: list[Any], *, speed: Speed | None = None) -> list[Result]:
        """Classify with the newest model."""
        return self._current()(source, speed=speed)

    def _current(self) -> Classifier:
        if self._newer is not None:
            with self._guard:
                older, self._classifier, self._newer = self._classifier, self._newer, None
            older.close()
            self._taken(self._classifier)
        return self._classifier

    def _run(self) -> None:
        while self._asked.get() is None and not self._over:
            # several requests are one
            while not self._asked.empty():
                self._asked.get()
            if self._over:
                return
            self._tell(None)
            self._tell(self._outcome())

    def _tell(self, text: str | None) -> None:
        try:
            self._told(text)
        except Exception:
            log.exception("a renewal cannot be told of")

    def _outcome(self) -> str:
        """Renew, and say how it went; whatever goes wrong, the old model stays, and so does this thread."""
        answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        # whether the newer model is taken or given up is for whoever acquires it, once
        decision = threading.Lock()

        def work() -> None:
            try:
                text = self._renew(decision)
                log.warning("%s", text)
            except EdgevitError as error:
                text = f"{STAYS}{error}"
                log.error("%s", text)
            except BaseException as error:
                text = f"{STAYS}the newer one failed ({type(error).__name__}: {error})"
                log.error("%s", text, exc_info=log.isEnabledFor(logging.INFO))
            answers.put(text)

        # in a thread that may be left behind: the newer model may hang in its self-test
        threading.Thread(target=work, name="self-test of a newer model", daemon=True).start()
        due_s = time.monotonic() + self._limit_s
        while not self._over and time.monotonic() < due_s:
            with contextlib.suppress(queue.Empty):
                return answers.get(timeout=LOOK_S)
        if not decision.acquire(blocking=False):  # it was taken at the last moment
            return answers.get()
        text = f"{STAYS}the newer one did not pass its self-test within {self._limit_s:g} s"
        if not self._over:
            log.error("%s", text)
        return text

    def _renew(self, decision: threading.Lock) -> str:
        newer = self._open_again()
        try:
            report = newer.selftest()
            if newer.names != self._classifier.names:
                raise ModelFileError(
                    "the new file's classes are not those of the running model; restart the service to use it"
                )
            with self._guard:
                if not decision.acquire(blocking=False):
                    raise ModelFileError("its self-test took too long")
                unused, self._newer = self._newer, newer
        except BaseException:
            newer.close()
            raise
        if unused is not None:
            unused.close()
        return f"the model was renewed; its self-test passed, {report.cases} pictures"

    def ask(self) -> None:
        """Ask for a renewal, from any thread or a signal handler."""
        self._asked.put(None)

    def close(self) -> None:
        """End the thread, and free the models."""
        self._over = True
        self._asked.put(None)
        self._thread.join()
        for classifier in (self._newer, self._classifier):
            if classifier is not None:
                classifier.close()
