"""What a user types as SOURCE, and the frames without header that --raw describes."""

import random

import numpy as np
import pytest

from edgevit.errors import EdgevitError, OptionError, UnknownNameError
from edgevit.runtime.sources.grammar import SCHEMES, parse_source
from edgevit.runtime.sources.raw import FORMATS, RawCutter, RawForm, parse_raw


@pytest.mark.parametrize(
    ("text", "kind", "address"),
    [
        ("cat.jpg", "path", "cat.jpg"),
        ("photos/", "path", "photos/"),
        ("photos/**/*.jpg", "path", "photos/**/*.jpg"),
        ("clip.MP4", "video", "clip.MP4"),
        ("night/clip.mjpeg", "video", "night/clip.mjpeg"),
        ("seq/img_%04d.jpg", "sequence", "seq/img_%04d.jpg"),
        ("%d.png", "sequence", "%d.png"),
        ("100%20.jpg", "path", "100%20.jpg"),
        ("camera:0", "camera", "0"),
        ("camera:12", "camera", "12"),
        ("/dev/video2", "camera", "/dev/video2"),
        ("camera:007", "camera", "7"),
        ("camera:/dev/video2", "camera", "/dev/video2"),
        ("camera:usb-Farm_HD-video-index0", "camera", "usb-Farm_HD-video-index0"),
        ("camera:pci-0000:00:14.0-usb-0:2:1.0", "camera", "pci-0000:00:14.0-usb-0:2:1.0"),
        ("camera:platform-fe801000.csi", "camera", "platform-fe801000.csi"),
        ("/dev/v4l/by-id/usb-x", "camera", "/dev/v4l/by-id/usb-x"),
        ("/dev/shm/a.jpg", "path", "/dev/shm/a.jpg"),
        ("/dev/fd/3", "path", "/dev/fd/3"),
        ("/dev/stdin", "path", "/dev/stdin"),
        ("seq%02d/img.jpg", "path", "seq%02d/img.jpg"),
        ("./farm:hay@night.jpg", "path", "./farm:hay@night.jpg"),
        ("picam:", "picam", "0"),
        ("picam", "picam", "0"),
        ("picam:1", "picam", "1"),
        ("rtsp://10.0.0.2/stream1", "rtsp", "rtsp://10.0.0.2/stream1"),
        ("RTSPS://host:322/x", "rtsp", "RTSPS://host:322/x"),
        ("http://host/a%20b.jpg?x=%04d", "http", "http://host/a%20b.jpg?x=%04d"),
        ("https://[::1]:8443/mjpg", "http", "https://[::1]:8443/mjpg"),
        ("tcp://host:8888", "tcp", "tcp://host:8888"),
        ("-", "stdin", "-"),
    ],
)
def test_source_is_what_it_looks_like(text: str, kind: str, address: str) -> None:
    source = parse_source(text)
    assert (source.kind, source.address) == (kind, address)
    assert source.name == {"-": "stdin", "http://host/a%20b.jpg?x=%04d": "http://host/a%20b.jpg?***"}.get(text, text)


def test_password_is_never_shown() -> None:
    source = parse_source("rtsp://farm:hay:stack@10.0.0.2:554/live")
    assert source.address == "rtsp://farm:hay:stack@10.0.0.2:554/live"
    assert source.name == "rtsp://farm:***@10.0.0.2:554/live"
    with pytest.raises(OptionError) as caught:
        parse_source("tcp://farm:haystack@10.0.0.2")
    assert "haystack" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http:///x.jpg", "the source http://... is not an address: it names no host; expected something like "
         "http://192.168.1.20"),
        ("tcp://", "the source tcp://... is not an address: it names no host; expected something like "
         "tcp://192.168.1.20:8888"),
        ("rtmp://host/live", "no kind of address named 'rtmp://'; did you mean rtsp://? All: rtsp://, rtsps://, "
         "http://, https://, tcp://"),
    ],
)  # fmt: skip
def test_wrong_address_is_told_with_one_that_would_do(text: str, message: str) -> None:
    with pytest.raises(EdgevitError) as caught:
        parse_source(text)
    assert str(caught.value) == message


def test_address_and_its_password_are_not_shown_by_accident() -> None:
    source = parse_source("rtsp://farm:haystack@10.0.0.2/live")
    assert "haystack" not in repr(source.name)
    assert "address" not in repr(source)


def test_login_comes_from_the_environment_where_the_address_has_none() -> None:
    environment = {"EDGEVIT_SOURCE_USER": "farm", "EDGEVIT_SOURCE_PASSWORD": "hay"}
    source = parse_source("rtsp://10.0.0.2/live", environment)
    assert (source.address, source.name) == ("rtsp://farm:hay@10.0.0.2/live", "rtsp://10.0.0.2/live")
    assert parse_source("rtsp://cow:straw@10.0.0.2/live", environment).address == "rtsp://cow:straw@10.0.0.2/live"
    # a plain stream asks nobody who he is
    assert parse_source("tcp://10.0.0.2:8888", environment).address == "tcp://10.0.0.2:8888"


def test_secret_is_read_from_the_given_environment_and_named_where_it_is_missing() -> None:
    assert parse_source("secret:FARM", {"FARM": "cat.jpg"}).address == "cat.jpg"
    with pytest.raises(OptionError, match=r"^the source is secret:FARM, but FARM is not set"):
        parse_source("secret:FARM", {})


def test_parts_are_those_of_a_url_and_of_nothing_else() -> None:
    parts = parse_source("tcp://10.0.0.2:8888").parts
    assert (parts.host, parts.port) == ("10.0.0.2", 8888)
    with pytest.raises(TypeError, match=r"^cat\.jpg is no URL$"):
        _ = parse_source("cat.jpg").parts


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", OptionError, "the source is ''; give a file"),
        ("camera:", OptionError, "the source is 'camera:', expected camera:0 or /dev/video0"),
        ("camera:front", OptionError, "the source is 'camera:front', expected camera:0"),
        ("camera:/dev/", OptionError, "expected camera:0 or /dev/video0, or a name that `edgevit doctor` lists"),
        ("camera:usb-", OptionError, "expected camera:0"),
        ("camera:\u0663", OptionError, "expected camera:0"),
        ("cat\0.jpg", OptionError, "the source is 'cat\\x00.jpg'; give a file"),
        ("farm:hay@10.0.0.2/live", OptionError, "without its beginning, such as rtsp://; if it is a file, write ./"),
        ("tcp://", OptionError, "names no host; expected something like tcp://192.168.1.20:8888"),
        ("picam:x", OptionError, "the source is 'picam:x', expected picam or picam:1"),
        ("rtmp://host/live", UnknownNameError, "did you mean rtsp://?"),
        ("http:///x.jpg", OptionError, "names no host; expected something like http://192.168.1.20"),
        ("tcp://host", OptionError, "names no port; expected something like tcp://host:8888"),
        ("tcp://host:99999", OptionError, "is not an address: its port is no number from 1 to 65535"),
        ("http://host/a b", OptionError, "write a space as %20"),
    ],
)
def test_wrong_source_is_one_line(text: str, error: type[EdgevitError], message: str) -> None:
    with pytest.raises(error) as caught:
        parse_source(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_any_text_is_a_source_or_one_line() -> None:
    draw = random.Random(5)
    starts = ["", "camera:", "picam:", "/dev/video", *(f"{scheme}://" for scheme in SCHEMES)]
    messages = []
    for _ in range(10_000):
        text = draw.choice(starts) + "".join(chr(draw.randrange(1, 0x250)) for _ in range(draw.randrange(12)))
        try:
            parse_source(text)
        except EdgevitError as error:
            messages.append(str(error))
    assert len(messages) > 1000
    assert [message for message in messages if len(message.splitlines()) != 1] == []


@pytest.mark.parametrize(
    ("text", "form", "size"),
    [
        ("640x480", RawForm(480, 640, "rgb24"), 921_600),
        ("640x480:gray", RawForm(480, 640, "gray"), 307_200),
        ("640x480:yuv420", RawForm(480, 640, "yuv420"), 460_800),
        ("3x1:bgr24", RawForm(1, 3, "bgr24"), 9),
    ],
)
def test_raw_form_knows_its_bytes(text: str, form: RawForm, size: int) -> None:
    assert (parse_raw(text), form.size) == (form, size)


@pytest.mark.parametrize("text", ["", "640", "640x", "0x480", "640x480:h264", "640x480x3", "99999x1", "-1x2", "٣x٣"])
def test_wrong_raw_form_names_the_formats(text: str) -> None:
    with pytest.raises(
        OptionError, match="expected width x height and a format, such as 640x480:rgb24; formats: rgb24"
    ):
        parse_raw(text)


def test_odd_size_is_refused_where_pixels_share_color() -> None:
    with pytest.raises(OptionError, match="multiples of two"):
        parse_raw("641x480:yuyv")


@pytest.mark.parametrize("name", FORMATS)
def test_every_raw_format_gives_the_grey_it_holds(name: str) -> None:
    """Half grey is byte 128 everywhere in RGB, and Y = 126 (BT.601, limited range: 16 + 219 * 128 / 255) in YUV.

    yuvj420 has Y = 128, as its levels are those of RGB.
    """
    form = RawForm(4, 6, name)
    data = np.full(form.shape, 128, np.uint8)
    if name in ("yuv420", "nv12"):
        data[:4] = 126
    elif name == "yuyv":
        data[..., 0] = 126
    image = form.to_rgb(data.tobytes())
    assert image.shape == (4, 6, 3)
    assert np.abs(image.astype(int) - 128).max() <= 1


def test_blue_and_red_are_not_swapped() -> None:
    pixels = bytes([200, 50, 25])
    assert RawForm(1, 1, "rgb24").to_rgb(pixels).tolist() == [[[200, 50, 25]]]
    assert RawForm(1, 1, "bgr24").to_rgb(pixels).tolist() == [[[25, 50, 200]]]


def test_raw_frames_are_cut_wherever_the_reads_end() -> None:
    form = RawForm(1, 2)
    stream = bytes(range(20))
    for most in (1, 2, 4, 5, 6, 20):
        cutter, found, at = RawCutter(form), [], 0
        while at < len(stream):
            get_buffer = cutter.get_buffer()
            count = min(len(get_buffer), most, len(stream) - at)
            get_buffer[:count] = stream[at : at + count]
            at += count
            if (picture := cutter.buffer_updated(count)) is not None:
                found.append(bytes(picture.data))
        assert found == [stream[0:6], stream[6:12], stream[12:18]]
