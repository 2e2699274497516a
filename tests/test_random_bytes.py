"""10,000 random byte strings to each parser of what comes from outside: an answer, or a refusal of one line."""

import contextlib
import dataclasses
import os
import random
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.artifact.manifest import Manifest, read_manifest
from edgevit.artifact.onnx import external_file, last_operator
from edgevit.artifact.onnx import read_metadata as read_onnx_metadata
from edgevit.artifact.tflite import read_metadata as read_tflite_metadata
from edgevit.device_profiles import read_profile
from edgevit.device_profiles.evidence import core_parts, cpuinfo_features, hwcap_features, read_auxv
from edgevit.errors import EdgevitError
from edgevit.runtime.addresses.credentials import read_secret
from edgevit.runtime.addresses.destinations import parse_sink
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.homeassistant import state_topic
from edgevit.runtime.delivery.spool import Spool
from edgevit.runtime.delivery.webhook import signing_key
from edgevit.runtime.images.header import read_header
from edgevit.runtime.images.jpeg import jpeg_facts
from edgevit.runtime.images.mask_png import mask_png, read_mask
from edgevit.runtime.images.png import png_is_sound
from edgevit.runtime.images.read import read_image
from edgevit.runtime.labels import parse_names, read_labels
from edgevit.runtime.run.sd_notify import Notifier
from edgevit.runtime.sources.capture import HEADER, MAGIC, CaptureCutter
from edgevit.runtime.sources.connections import FrameParser
from edgevit.runtime.sources.raw import RawCutter, RawForm, parse_raw
from tests.places import ROOT

ROUNDS = 10_000
Make = Callable[..., Path]


def picture(suffix: str) -> bytes:
    y, x = np.mgrid[:24, :32]
    image = np.stack([8 * x, 10 * y, 4 * (x + y)], axis=-1).astype(np.uint8)
    return bytes(cv2.imencode(suffix, image)[1].tobytes())


def box(name: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4) + name + content


def as_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def feed(cutter: FrameParser, data: bytes) -> None:
    """Give a cutter all of data, in the pieces that it asks for."""
    while data:
        room = cutter.get_buffer()
        count = min(len(room), len(data))
        room[:count] = data[:count]
        cutter.buffer_updated(count)
        data = data[count:]


def in_a_file(read: Callable[[Path], object], name: str) -> Callable[[Path, bytes], object]:
    def parse(folder: Path, data: bytes) -> object:
        # a new file each time: cutting an old one to nothing has ext4 flush it
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_bytes(data)
        return read(folder / name)

    return parse


def of_bytes(read: Callable[[bytes], object]) -> Callable[[Path, bytes], object]:
    return lambda folder, data: read(data)


def of_text(read: Callable[[str], object]) -> Callable[[Path, bytes], object]:
    return lambda folder, data: read(as_text(data))


class Parser(NamedTuple):
    parse: Callable[[Path, bytes], object]
    """Takes a folder of its own, and what came."""
    sound: tuple[bytes, ...] = ()
    """What it is meant for; random bytes are put into it, and it is cut."""
    pieces: tuple[bytes, ...] = ()
    """Joined at random."""


def _broker(text: str) -> None:
    Broker.from_target(parse_sink(f"mqtt://{text}"), {})


def _notifier(text: str) -> None:
    names = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
    Notifier.from_environment(dict(zip(names, text.split("|"), strict=False)))


def _onnx_file(path: Path) -> None:
    read_onnx_metadata(path)
    last_operator(path, "y")
    external_file(path)


def _cpuinfo(text: str) -> None:
    core_parts(text)
    cpuinfo_features(text)


JPEG, PNG = picture(".jpg"), picture(".png")
JPEG_2000 = cv2.imencode(".jp2", np.tile(np.arange(64, dtype=np.uint8), (64, 1)))[1].tobytes()
AVIF_HEAD = box(b"ftyp", b"avif" + bytes(4)) + box(
    b"meta",
    bytes(4)
    + box(b"pitm", bytes(5) + b"\x01")
    + box(
        b"iprp",
        box(b"ipco", box(b"ispe", bytes(7) + b"\x02" + bytes(3) + b"\x03") + box(b"irot", b"\x01"))
        + box(b"ipma", bytes(7) + b"\x01\0\x01\x02\x01\x82"),
    ),
)
"""A picture 2 pixels wide and 3 high, turned by a quarter to the left."""
MASK = mask_png(np.arange(12, dtype=np.uint8).reshape(3, 4), [(n, n, n) for n in range(12)])
PROFILE = (ROOT / "device_profiles" / "rpi4.toml").read_bytes()
CPUINFO = b"processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\nModel\t: Pi\n"
ONNX_TAGS = (b"\x08", b"\x3a", b"\x72", b"\x0a", b"\x12", b"\x3a\x02\x08\x01", b"\xff" * 9)

PARSERS = {
    "head of a JPEG": Parser(of_bytes(jpeg_facts), (JPEG,), (b"\xff\xd8", b"\xff\xc0\x00\x11", b"\xff\xda", b"\xff")),
    "chunks of a PNG": Parser(of_bytes(png_is_sound), (PNG, MASK), (PNG[:8], b"\0\0\0\0", b"IEND", b"IDAT")),
    "image": Parser(of_bytes(read_image), (PNG, picture(".bmp"), picture(".webp"), picture(".tiff"), JPEG_2000)),
    "head of a picture": Parser(
        of_bytes(read_header),
        (picture(".tiff"), JPEG_2000, picture(".webp"), picture(".gif"), picture(".ppm"), AVIF_HEAD),
        (
            b"II*\0\x08\0\0\0",
            b"MM\0*",
            b"\0\0\0\x18ftypavif",
            b"ispe",
            b"\xff\x4f\xff\x51",
            b"P6 ",
            b"RIFF",
            b"\xff" * 4,
        ),
    ),
    "mask": Parser(in_a_file(read_mask, "mask.png"), (MASK,)),
    "frames of a camera's process": Parser(
        of_bytes(lambda data: feed(CaptureCutter(), data)), (HEADER.pack(MAGIC, 2, 3) + bytes(18),), (MAGIC, b"\0" * 8)
    ),
    "raw frames": Parser(of_bytes(lambda data: feed(RawCutter(RawForm(2, 2, "yuvj420")), data))),
    "description of raw frames": Parser(of_text(parse_raw), (b"640x480:yuv420",), (b"1", b"x", b":", b"gray")),
    "labels": Parser(
        in_a_file(read_labels, "labels.txt"),
        (b'{"0": "cat", "1": "dog"}', b'["cat", "dog"]', b"0 cat\n1 dog\n"),
        (
            b"[",
            b"{",
            b'"0"',
            b":",
            b'{"' + b"9" * 5000 + b'": "a"}',
            b",",
            b"1e999",
            b"]",
            b"}",
            b"\n",
            b"\xef\xbb\xbf",
        ),
    ),
    "names in a model": Parser(of_text(parse_names), (b'{"0": "cat", "1": "dog"}',), (b"[" * 2000, b"{", b'"', b"]")),
    "profile": Parser(
        in_a_file(read_profile, "mine.toml"), (PROFILE,), (b"[", b"]", b"=", b'"', b"\n", b"1979-05-27", b"nan", b"a.b")
    ),
    "ONNX file": Parser(in_a_file(_onnx_file, "model.onnx"), (), ONNX_TAGS),
    "MQTT address": Parser(
        of_text(_broker), (b"user@broker:1883/farm?discovery=ha&retain=no",), (b":", b"@", b"/", b"?", b"=", b"%", b"[")
    ),
    "signing secret": Parser(of_text(signing_key), (b"whsec_AAECAw==",), (b"whsec_", b"=", b"A", b"/")),
    "secret in a file": Parser(
        in_a_file(lambda path: read_secret("KEY", {"KEY_FILE": str(path)}), "secret"), (b"secret\n",), (b"\n", b"\0")
    ),
    "channel of a spool": Parser(of_text(lambda text: state_topic("farm", text)), (b"gate/label",), (b"/", b"#", b"+")),
    "service manager": Parser(of_text(_notifier), (b"/run/notify|1000000|1",), (b"|", b"@", b"/", b"9" * 30)),
    "processors": Parser(of_text(_cpuinfo), (CPUINFO,), (b"\n", b":", b"processor", b"CPU part", b"\xd9\xa3")),
    "auxiliary vector": Parser(of_bytes(lambda data: hwcap_features(read_auxv(data))), (bytes([16] + [0] * 15),)),
}


def material(draw: random.Random, parser: Parser) -> bytes:
    """Return something new: rubbish, pieces in any order, or what is sound with bytes changed or its end gone."""
    kind = draw.randrange(4)
    if kind == 0 or not (parser.sound or parser.pieces):
        return draw.randbytes(draw.randrange(80))
    if parser.pieces and (kind == 1 or not parser.sound):
        return b"".join(draw.choice((*parser.pieces, draw.randbytes(2))) for _ in range(draw.randrange(9)))
    data = bytearray(draw.choice(parser.sound))
    if kind == 2:
        return bytes(data[: draw.randrange(len(data) + 1)])
    for _ in range(draw.randrange(1, 6)):
        data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data)


def refusal(parse: Callable[[], object]) -> str:
    """Return why something is refused; nothing if it is not."""
    try:
        parse()
    except EdgevitError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", PARSERS)
def test_whatever_comes_is_understood_or_refused_in_one_line(tmp_path: Path, name: str) -> None:
    parser, draw = PARSERS[name], random.Random(name)
    for sound in parser.sound:
        parser.parse(tmp_path, sound)
    for _ in range(ROUNDS):
        data = material(draw, parser)
        assert len(refusal(partial(parser.parse, tmp_path, data)).splitlines()) <= 1


def test_models_of_others_are_understood_or_refused(
    make_foreign: Make, make_foreign_tflite: Make, tmp_path: Path
) -> None:
    """What test_artifact and test_tflite_metadata do to our own files, for those with metadata of other tools."""
    names = {"names": "{0: 'red', 1: 'green', 2: 'blue'}"}
    formats = (
        (make_foreign(metadata=names), read_onnx_metadata),
        (make_foreign_tflite(files={"metadata.json": '{"task":"classify"}'}), read_tflite_metadata),
    )
    for path, read in formats:
        draw, sound = random.Random(path.suffix), Parser(in_a_file(read, f"random{path.suffix}"), (path.read_bytes(),))
        for _ in range(ROUNDS // 2):
            data = material(draw, sound)
            assert len(refusal(partial(sound.parse, tmp_path, data)).splitlines()) <= 1


def test_documents_of_models_are_understood_or_refused(tiny_model: Path) -> None:
    manifest = read_manifest(tiny_model)
    assert manifest is not None
    text = dataclasses.replace(manifest, selftest=None).to_json().encode()
    pieces = (b"{", b"}", b"[", b"]", b'"schema":1', b",", b"null", b"-1", b"1e999", b'"\\ud800"')
    draw, parser = random.Random(3), Parser(of_text(Manifest.from_json), (text,), pieces)
    for _ in range(ROUNDS):
        data = material(draw, parser)
        assert len(refusal(partial(Manifest.from_json, as_text(data))).splitlines()) <= 1


def test_list_of_files_on_stdin_is_read_whatever_their_names(tiny_model: Path, red_image: NDArray[np.uint8]) -> None:
    """A file's name is any bytes but line ends; each that leads nowhere is one line, and the others are classified."""
    draw = random.Random(6)
    red = tiny_model.with_name(os.fsdecode(b"r\xe9d.png"))
    red.write_bytes(cv2.imencode(".png", red_image[:, :, ::-1])[1].tobytes())
    names = [draw.randbytes(draw.randrange(1, 30)).translate(None, b"\r\n") for _ in range(ROUNDS)]
    lines = [b"photos/" + name for name in names] + [os.fsencode(red)]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    command = [sys.executable, "-m", "edgevit", "run", str(tiny_model), "-"]
    done = subprocess.run(command, input=b"\n".join(lines), capture_output=True, env=environment, cwd=ROOT)
    assert done.returncode == 1
    told = done.stderr.decode().split("\n")[:-1]
    assert len(told) == ROUNDS
    assert [line for line in told if not line.startswith("edgevit: photos")] == []
    assert done.stdout.decode().split(": ")[1].startswith("red ")


def test_spool_gives_back_any_record_as_it_was_put(tmp_path: Path) -> None:
    draw, spool = random.Random(5), Spool(tmp_path / "a.sqlite", 50_000_000)
    put = []
    for _ in range(ROUNDS):
        channel = draw.randbytes(draw.randrange(20)).decode("utf-8", "replace")
        put.append((draw.randbytes(16).hex(), channel, draw.randbytes(draw.randrange(60))))
        assert spool.put(*put[-1])
    stored = spool.oldest(ROUNDS)
    assert [(record.id, record.channel, record.body) for record in stored] == put
    spool.close()


@pytest.mark.parametrize("seed", range(4))
def test_spool_whose_file_is_rubbish_still_takes_records(tmp_path: Path, seed: int) -> None:
    """A database of a few records, in which bytes are changed, or which is cut; or rubbish from the first byte on."""
    sound = Spool(tmp_path / "sound.sqlite", 1_000_000)
    for number in range(20):
        sound.put(str(number), "label", bytes(100))
    sound.close()
    draw, parser = random.Random(seed), Parser(of_bytes(len), ((tmp_path / "sound.sqlite").read_bytes(),))
    for trial in range(25):
        path = tmp_path / f"{trial}.sqlite"
        path.write_bytes(material(draw, parser))
        with contextlib.suppress(EdgevitError):
            spool = Spool(path, 1_000_000)
            taken = [spool.put(f"new {number}", "label", b"body") for number in range(3)]
            # damage may show only when it is met; from then on the file is a new one
            assert taken[-1] or not taken[0]
            spool.close()
