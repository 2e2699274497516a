"""Processes that a test begins, and those that others have left."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_process_left() -> Iterator[None]:
    """Fail if processes have begun and not ended; what other tests have left is not counted."""
    before = multiprocessing.active_children()
    yield
    assert [child for child in multiprocessing.active_children() if child not in before] == []
