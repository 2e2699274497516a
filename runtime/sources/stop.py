"""A request to end a stream after the frame in hand; safe to make in a signal handler."""

from collections.abc import Callable


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
