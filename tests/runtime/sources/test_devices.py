"""Cameras by names that stay, in a made /dev."""

import sys
from pathlib import Path

import pytest

from edgevit.errors import OptionError, SourceLostError
from edgevit.runtime.sources import capture
from edgevit.runtime.sources.devices import find_device, named_cameras
from edgevit.runtime.sources.grammar import parse_source
from edgevit.runtime.sources.options import SourceOptions
from tests.runtime.sources.played_camera import CAMERA

LOGITECH = "usb-046d_HD_Pro_Webcam_C920_1A2B3C-video-index0"
SOCKET = "platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.3:1.0-video-index0"


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    """Two cameras, of which one has a second device for data."""
    folder = tmp_path / "dev"
    for name in ("by-id", "by-path"):
        (folder / "v4l" / name).mkdir(parents=True)
    for number in range(4):
        (folder / f"video{number}").touch()
    link(folder, LOGITECH, 0)
    link(folder, LOGITECH.replace("index0", "index1"), 1)
    link(folder, "usb-Arducam_0001-video-index0", 2)
    (folder / "v4l" / "by-path" / SOCKET).symlink_to(folder / "video0")
    return folder


def link(dev: Path, name: str, number: int) -> None:
    path = dev / "v4l" / "by-id" / name
    path.unlink(missing_ok=True)
    path.symlink_to(f"../../video{number}")


@pytest.mark.parametrize("name", [LOGITECH, "usb-046d_HD_Pro", "usb-046d", SOCKET, "platform-fd500000.pcie"])
def test_camera_is_found_by_the_beginning_of_its_name(dev: Path, name: str) -> None:
    assert find_device(name, dev) == str(dev / "video0")


def test_camera_is_followed_to_another_number(dev: Path) -> None:
    link(dev, LOGITECH, 3)
    assert find_device("usb-046d_HD_Pro", dev) == str(dev / "video3")
    (dev / "v4l" / "by-id" / LOGITECH).unlink()
    with pytest.raises(SourceLostError, match="it is not plugged in; `edgevit doctor` lists"):
        find_device("usb-046d_HD_Pro", dev)


def test_name_of_two_cameras_is_refused(dev: Path) -> None:
    with pytest.raises(OptionError, match=r"camera:usb- may be usb-046d.*, usb-Arducam.*; write as much"):
        find_device("usb-", dev)


def test_numbers_and_devices_are_left_as_they_are(dev: Path) -> None:
    for name in ("0", "/dev/video7", "clips/camera.avi"):
        assert find_device(name, dev) == name


def test_device_that_is_no_camera_is_refused_at_once() -> None:
    with pytest.raises(OptionError, match="/dev/null is no camera, expected a device such as /dev/video0"):
        find_device("/dev/null")
    with pytest.raises(SourceLostError, match="it is not plugged in"):
        find_device("/dev/v4l/by-id/usb-nobody-video-index0")


def test_cameras_are_listed_without_their_data_devices(dev: Path) -> None:
    assert [(device, path.name) for device, path in named_cameras(dev)] == [
        ("video0", LOGITECH),
        ("video2", "usb-Arducam_0001-video-index0"),
        ("video0", SOCKET),
    ]


@pytest.mark.parametrize(
    "text",
    ["/dev/v4l/by-id/usb-046d_C920-video-index0", "/dev/v4l/by-path/platform-a:b", "/dev/video0", "/dev/gate-camera"],
)
def test_stable_names_are_live_sources(text: str) -> None:
    assert parse_source(text).kind == parse_source(f"camera:{text}").kind == "camera"
    assert parse_source(text).address == parse_source(f"camera:{text}").address == text


def test_udev_names_are_live_sources() -> None:
    for name in (LOGITECH, SOCKET):
        assert (parse_source(f"camera:{name}").kind, parse_source(f"camera:{name}").address) == ("camera", name)
    assert parse_source("/dev/shm/clip.mp4").kind == "video"
    assert parse_source("/dev/fd/63").kind == "path"


def test_name_is_looked_up_at_each_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child is told the device, and which it is may differ from one connection to the next."""
    asked: list[str] = []

    def find(name: str) -> str:
        asked.append(name)
        return f"/dev/video{len(asked)}"

    monkeypatch.setattr(capture, "find_device", find)
    program = tmp_path / "camera.py"
    program.write_text(CAMERA + "sys.exit(task['address'])")
    reasons = []
    for _ in range(2):
        source = parse_source("camera:usb-Logitech")
        connection = capture.connect(source, SourceOptions(), (sys.executable, str(program)))
        with pytest.raises(SourceLostError) as caught:
            connection.read(60)
        reasons.append(str(caught.value))
        connection.close()
    assert reasons == ["/dev/video1", "/dev/video2"]
    assert asked == ["usb-Logitech"] * 2
