"""Exposure, white balance, focus and warm-up: what is typed, and what a camera is told."""

from typing import Any

import cv2
import pytest

from edgevit.errors import OptionError
from edgevit.runtime.sources import picam
from edgevit.runtime.sources.camera_settings import CameraSettings, parse_settings
from edgevit.runtime.sources.capture_child import NotSettable, _controls, _set_up
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.stream.options import StreamOptions
from edgevit.runtime.stream.plan import plan_stream


def test_settings_are_read_in_plain_words() -> None:
    assert parse_settings("10ms", "5500K", "12") == CameraSettings(0.01, 5500, 12.0)
    assert parse_settings("auto", "Daylight", "auto") == CameraSettings("auto", "daylight", "auto")
    assert parse_settings("auto", "daylight", None).kelvin == 5500
    assert parse_settings(0.5, 4000, 0) == CameraSettings(0.5, 4000, 0.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("bright", None, None), "--exposure is 'bright', expected a time such as"),
        ((None, "warm", None), "--white-balance is 'warm', expected auto, incandescent, tungsten"),
        ((None, "100", None), "--white-balance is '100'"),
        ((None, None, "near"), "--focus is 'near', expected auto or a number"),
        ((None, None, "nan"), "--focus is 'nan'"),
    ],
)
def test_wrong_setting_is_one_line(given: tuple[Any, Any, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_settings(*given)
    assert caught.value.command_line_text.startswith(message)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("clip.mp4", {"warmup": "2s"}, "--warmup is for cameras and streams, but the source is clip.mp4; leave it out"),
        ("photos", {"wait": False}, "--no-wait is for cameras and streams, but the source is photos; leave it out"),
        ("img_%04d.jpg", {"stall_timeout": "20s"}, "--stall-timeout is for cameras and streams, but the source is img"),
        ("clip.mp4", {"stall_timeout": "10s"}, "--stall-timeout is for cameras and streams, but the source is clip"),
        ("photos", {"wait": True}, "--wait is for cameras and streams, but the source is photos; leave it out"),
        ("camera:0", {"wait": True, "once": True}, "--once does not wait for what is lost; leave out --wait"),
        ("http://10.0.0.2/x", {"exposure": "10ms"}, "--exposure, --white-balance and --focus are for cameras"),
        ("picam", {"white_balance": 5500}, "--white-balance is a number, but picam takes a kind of light"),
    ],
)
def test_setting_that_the_source_does_not_heed_is_refused(source: str, options: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        plan_stream([source], StreamOptions(**options))
    assert caught.value.command_line_text.startswith(message)


@pytest.mark.parametrize("source", ["camera:0", "rtsp://10.0.0.2/x", "-"])
def test_what_may_be_lost_takes_what_is_said_of_a_loss(source: str) -> None:
    options = plan_stream([source], StreamOptions(wait=False, stall_timeout="20s")).source_options
    assert (options.wait, options.stall_s) == (False, 20.0)


def test_one_picture_of_a_folder_may_be_asked_for() -> None:
    assert plan_stream(["photos"], StreamOptions(once=True)).max_frames == 1


def test_warm_up_suits_the_source() -> None:
    assert [SourceOptions().suited_to(kind).warmup_s for kind in ("camera", "picam", "rtsp", "http")] == [2, 2, 0, 0]
    # a result is waited for as long as the warm-up lets it wait, of several sources the longest
    for sources, limit_s in (["camera:0"], 12.0), (["http://pen"], 10.0), (["camera:0", "http://pen"], 12.0):
        assert plan_stream(sources, StreamOptions()).result_limit_s == limit_s
    assert plan_stream(["camera:0"], StreamOptions(warmup="20s", every="5s")).result_limit_s == 40.0
    assert StreamOptions(warmup="500ms").source_options.suited_to("camera").warmup_s == 0.5
    assert StreamOptions(warmup=0).source_options.suited_to("camera").warmup_s == 0


class PlayedCapture:
    """A V4L2 camera that has some settings; notes what it is told."""

    def __init__(self, *missing: int) -> None:
        self.told: dict[int, float] = {}
        self._missing = missing

    def set(self, setting: int, value: float) -> bool:
        self.told[setting] = value
        return setting not in self._missing


def task(**given: Any) -> dict[str, Any]:
    return {"exposure_s": None, "white_balance": None, "focus": None} | given


def test_usb_camera_is_told_its_settings_in_the_units_of_v4l2() -> None:
    """Exposure in 100 microseconds; 1 is manual and 3 automatic."""
    capture = PlayedCapture()
    _set_up(cv2, capture, task(exposure_s=0.01, white_balance=5500, focus=30))
    assert capture.told == {
        cv2.CAP_PROP_AUTO_EXPOSURE: 1,
        cv2.CAP_PROP_EXPOSURE: 100,
        cv2.CAP_PROP_AUTO_WB: 0,
        cv2.CAP_PROP_WB_TEMPERATURE: 5500,
        cv2.CAP_PROP_AUTOFOCUS: 0,
        cv2.CAP_PROP_FOCUS: 30,
    }
    capture = PlayedCapture()
    _set_up(cv2, capture, task(exposure_s="auto", focus="auto"))
    assert capture.told == {cv2.CAP_PROP_AUTO_EXPOSURE: 3, cv2.CAP_PROP_AUTOFOCUS: 1}


def test_usb_camera_without_the_setting_says_so() -> None:
    with pytest.raises(NotSettable, match="--focus"):
        _set_up(cv2, PlayedCapture(cv2.CAP_PROP_FOCUS), task(focus=30))
    # one that has no autofocus to switch off can still be told where to focus
    _set_up(cv2, PlayedCapture(cv2.CAP_PROP_AUTOFOCUS), task(focus=30))


def test_raspberry_pi_camera_is_told_its_settings() -> None:
    settings = CameraSettings(0.01, "daylight", 2.5)
    assert picam._settings(settings) == (
        *("--shutter", "10000", "--awb", "daylight"),
        *("--autofocus-mode", "manual", "--lens-position", "2.5"),
    )
    assert picam._settings(CameraSettings("auto", None, "auto")) == (
        *("--exposure", "normal", "--autofocus-mode", "continuous"),
    )
    assert picam._settings(CameraSettings()) == ()
    assert _controls(task(exposure_s=0.01, white_balance="daylight", focus=2.5)) == {
        "AeEnable": False,
        "ExposureTime": 10_000,
        "AwbMode": 5,
        "AfMode": 0,
        "LensPosition": 2.5,
    }
