"""A request to end a stream after the frame in hand; safe to make in a signal handler."""

from collections.abc import Callable

from edgevit.errors import OptionError


class Stop:
    """Asks the streams that it was given to for their end, once and for all."""

    def __init__(self) -> None:
        self._asked = False
        self._listeners: list[Callable[[], None]] = []

    @property
    def asked(self) -> bool:
        return self._asked

    def ask(self) -> None:
        """Ask from any thread, or a signal handler; takes no lock that the interrupted code might hold."""
        self._asked = True
        for listener in tuple(self._listeners):
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call it when the end is asked for; it must be safe in a signal handler, as SimpleQueue.put is."""
        self._listeners.append(listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        self._listeners.remove(listener)


def check_stop(stop: Stop | None) -> Stop | None:
    """Return it; OptionError if it is something else, as in stop=3."""
    if stop is not None and not isinstance(stop, Stop):
        raise OptionError(f"--stop is {stop!r}, expected an edgevit.Stop")
    return stop
