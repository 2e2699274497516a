"""Worker processes that answer items; one that dies costs no item but that which kills it, twice.

Each worker has a pipe of its own: so it is known which item it had in hand when it died, and what it had half written
then holds up nobody, as it would in a queue that all share.
"""

import contextlib
import multiprocessing
import signal
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

from edgevit.errors import WorkerError
from edgevit.runtime.sources.stop import Stop
from edgevit.runtime.workers.child import Answered, Failed, Opening, Ready, serve

AHEAD = 2
"""Items that a worker is given at a time, so that it need not wait for the next."""
MOST_DEATHS = 10
"""More deaths than that without an answer in between are no fault of single items."""
MOST_UNOPENED = 2
"""The same, of which the last was before the worker was open: somebody may have killed it, or memory was short once."""

Item = TypeVar("Item")
Answers = Generator[tuple[Item, Any | None], None, None]


def answered(opening: Opening, items: Iterable[Item], count: int, stop: Stop) -> Answers[Item]:
    """Yield each item with its answer, in the order in which they are done.

    An item whose worker dies is tried once more when all others are done, in a worker that has the machine to itself;
    its answer is None if that dies too.

    Args:
        opening: what each worker begins with; its answers are never None.
        items: are taken when there is a worker for them.
        count: workers.
        stop: no more items are taken after it is asked; those that a worker has are still answered.

    Raises:
        WorkerError: a worker cannot begin, or workers die whatever they are given.
        Exception: what opening or answering raised.
    """
    suspects = []
    with contextlib.closing(_one_pass(opening, items, count, stop, MOST_DEATHS)) as answers:
        for item, answer in answers:
            if answer is None:
                suspects.append(item)
            else:
                yield item, answer
    with contextlib.closing(_one_pass(opening, suspects, 1, stop, len(suspects))) as answers:
        yield from answers


def _one_pass(opening: Opening, items: Iterable[Item], count: int, stop: Stop, most_deaths: int) -> Answers[Item]:
    """Yield each item with its answer, or with None if its worker has died."""
    rest, deaths = iter(items), 0
    waiting = deque(islice(rest, 1))
    workers: list[Worker[Item]] = []
    try:
        for _ in range(count if waiting else 0):
            workers.append(Worker(opening))
        while True:
            for worker in workers:
                while not stop.asked and len(worker.asked) < AHEAD and _fill(waiting, rest):
                    worker.ask(waiting.popleft())
            busy = {worker.pipe: place for place, worker in enumerate(workers) if worker.asked}
            if not busy:
                return
            for pipe in wait(list(busy)):
                place = busy[pipe]  # type: ignore[index]  # what was given
                worker = workers[place]
                said = worker.hear()
                if isinstance(said, Failed):
                    raise said.error
                if isinstance(said, Answered):
                    deaths = 0
                    yield worker.asked.popleft(), said.answer
                elif said is None:
                    deaths += 1
                    worker.check_death(deaths, most_deaths)
                    workers[place] = Worker(opening)
                    suspects, innocent = worker.in_hand_and_waiting()
                    waiting.extendleft(reversed(innocent))
                    worker.end()
                    yield from ((suspect, None) for suspect in suspects)
    finally:
        for worker in workers:
            worker.end()


def _fill(waiting: deque[Item], rest: Iterator[Item]) -> bool:
    """Tell whether an item waits, of those given back or of the others."""
    if not waiting:
        waiting.extend(islice(rest, 1))
    return bool(waiting)


class Worker(Generic[Item]):
    """A process, the pipe to it, and the items that it has."""

    def __init__(self, opening: Opening) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.asked: deque[Item] = deque()
        self._is_open = False
        self._process = context.Process(target=serve, args=(theirs, opening), name="edgevit worker", daemon=True)
        with _interrupts_held_back():
            self._process.start()
        theirs.close()

    def ask(self, item: Item) -> None:
        """Give it an item; that it is dead is heard then."""
        with contextlib.suppress(ConnectionError):
            self.pipe.send(item)
        self.asked.append(item)

    def hear(self) -> Ready | Answered | Failed | None:
        """Return what it says next; None if it has died."""
        try:
            said = self.pipe.recv()
        except (EOFError, OSError):
            return None
        assert isinstance(said, Ready | Answered | Failed)
        self._is_open = True
        return said

    def in_hand_and_waiting(self) -> tuple[list[Item], list[Item]]:
        """Return the item that it has begun, if it was open, and those that it has not."""
        asked, begun = list(self.asked), int(self._is_open)
        return asked[:begun], asked[begun:]

    def check_death(self, deaths: int, most: int) -> None:
        """Raise WorkerError if its death, the last of so many in a row, is no fault of the item that it had in hand."""
        if deaths <= (most if self._is_open else MOST_UNOPENED):
            return
        self._process.join()
        code = self._process.exitcode or 0
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        if self._is_open:
            raise WorkerError(
                f"{deaths} worker processes died one after the other, whatever pictures they had ({how}); try one "
                "picture without --jobs, and look whether memory is left"
            )
        raise WorkerError(
            f"a worker process died before it had opened the model ({how}); give fewer --jobs if memory is short, and "
            "in a script, start below `if __name__ == '__main__':`"
        )

    def end(self) -> None:
        """End the process; what it has in hand is lost."""
        self.pipe.close()
        if self.asked or not self._is_open:
            self._process.kill()
        self._process.join()
        self._process.close()


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Have a process that is started inside never hear of Ctrl-C, from its first instruction on; this one hears later.

    A process inherits which signals are blocked.
    """
    if not hasattr(signal, "pthread_sigmask"):  # as on Windows
        yield
        return
    # its own start would end the blocking
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
