"""The first Ctrl-C asks, the second one acts, and afterwards everything is as it was."""

import signal

import pytest

from edgevit.cli.signals import call_on_signals, stop_on_signals
from edgevit.runtime.sources.stop import Stop


def test_first_asks_second_acts() -> None:
    before, stop = signal.getsignal(signal.SIGINT), Stop()
    with stop_on_signals(stop):
        signal.raise_signal(signal.SIGINT)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_action_is_called_at_each_signal_until_the_end() -> None:
    calls: list[int] = []
    before = signal.getsignal(signal.SIGHUP)
    with call_on_signals((signal.SIGHUP,), lambda: calls.append(1)):
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
    assert calls == [1, 1]
    assert signal.getsignal(signal.SIGHUP) is before
