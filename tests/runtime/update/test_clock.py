"""A board's clock: in 1970 after a power cut, in 2040 by mistake; no reason to stop, nor to believe an old site."""

from datetime import UTC, datetime

import pytest

from edgevit.runtime.update.floor import BUILT_S, Floor
from tests.made_signed_site import MadeSite
from tests.made_update_board import Make

pytestmark = pytest.mark.usefixtures("any_bytes")

OLD, NEW = b"an old model", b"a new model"
DAY_S = 86400.0


def unix(year: int) -> float:
    return datetime(year, 1, 1, tzinfo=UTC).timestamp()


def test_time_is_the_latest_of_clock_last_seen_and_build() -> None:
    assert Floor().time_s(0.0) == BUILT_S
    assert Floor(seen_s=BUILT_S + 5).time_s(0.0) == BUILT_S + 5
    assert Floor(seen_s=BUILT_S + 5).time_s(BUILT_S + 9) == BUILT_S + 9
    assert Floor(seen_s=0.0).time_s(3.0) == BUILT_S


def test_site_that_expired_before_the_build_is_refused_in_1970(site: MadeSite, make: Make) -> None:
    """The prototype's clock failed open: with the year 1970 nothing has expired."""
    built = datetime.fromtimestamp(BUILT_S, UTC)
    site.days = -((datetime.now(UTC) - built).total_seconds() / DAY_S + 1)
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    state = board.check(now_s=lambda: 0.0)
    assert state.state == "failed"
    assert "signatures have expired" in (state.error or "")
    assert f"today is 1970-01-01 here, and {built:%Y-%m-%d} was seen before);" in (state.error or "")
    assert board.service.running == OLD


def test_site_that_expired_since_it_was_last_seen_is_refused_in_1970(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", OLD)
    board = make(model=OLD)
    now_s = datetime.now(UTC).timestamp()
    site.days = 90
    site.write()
    assert board.check(now_s=lambda: now_s + 60 * DAY_S).error is None
    site.days = 50
    site.publish("stable/farm.onnx", NEW)
    assert "signatures have expired" in (board.check(now_s=lambda: 0.0).error or "")
    assert board.service.running == OLD


def test_sound_site_is_taken_in_1970(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    assert board.check(now_s=lambda: 0.0).state == "confirmed"


def test_clock_that_was_ahead_does_not_shut_the_site_out_afterwards(site: MadeSite, make: Make) -> None:
    """Only times at which the site was valid are kept: a wrong year 2040 is forgotten once the clock is right."""
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    state = board.check(now_s=lambda: unix(2040))
    assert state.state == "failed"
    assert "today is 2040-01-01 here);" in (state.error or "")
    assert board.service.running == OLD
    assert board.check().state == "confirmed"


def test_last_time_seen_outlives_the_process(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", OLD)
    board = make(model=OLD)
    later_s = datetime.now(UTC).timestamp() + 20 * DAY_S
    board.check(now_s=lambda: later_s)
    assert f'"seen_s": {later_s}' in (board.into / "update" / "floor.json").read_text()
    # an hour more is no reason to write to the card
    before = (board.into / "update" / "floor.json").stat().st_mtime_ns
    board.check(now_s=lambda: later_s + 3600)
    assert (board.into / "update" / "floor.json").stat().st_mtime_ns == before
