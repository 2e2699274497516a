"""Random byte strings for each parser of what comes from outside, for the tests and for benchmarks/fuzz.py."""

import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from edgevit.artifact.manifest import Input, Manifest, Preprocess, Weights
from edgevit.artifact.onnx import external_file, last_operator
from edgevit.artifact.onnx import read_metadata as read_onnx_metadata
from edgevit.artifact.tflite import read_metadata as read_tflite_metadata
from edgevit.device_profiles import read_profile
from edgevit.device_profiles.evidence import core_parts, cpuinfo_features, hwcap_features, read_auxv
from edgevit.errors import EdgevitError
from edgevit.runtime.addresses.credentials import read_secret
from edgevit.runtime.addresses.destinations import parse_sink
from edgevit.runtime.datasets.coco import class_names, marks_of, parse_document
from edgevit.runtime.datasets.marks import Tally
from edgevit.runtime.datasets.voc import parse_marks as parse_voc
from edgevit.runtime.datasets.yaml_lists import read_yaml
from edgevit.runtime.datasets.yolo import names_files, read_names
from edgevit.runtime.datasets.yolo import parse_marks as parse_yolo
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.homeassistant import state_topic
from edgevit.runtime.delivery.webhook import signing_key
from edgevit.runtime.images.header import read_header
from edgevit.runtime.images.jpeg import jpeg_facts
from edgevit.runtime.images.mask_png import mask_png, read_mask
from edgevit.runtime.images.png import png_is_sound
from edgevit.runtime.images.read import read_image
from edgevit.runtime.images.regions import parse_grid, parse_region
from edgevit.runtime.images.tiff_tags import exif_orientation
from edgevit.runtime.labels import parse_names, read_labels
from edgevit.runtime.run.sd_notify import Notifier
from edgevit.runtime.sources.capture import HEADER, MAGIC, CaptureCutter
from edgevit.runtime.sources.connections import FrameParser
from edgevit.runtime.sources.grammar import parse_source
from edgevit.runtime.sources.mjpeg import JpegSplitter
from edgevit.runtime.sources.raw import RawCutter, RawForm, parse_raw
from edgevit.runtime.sources.sampling import parse_duration
from edgevit.schema import read_json
from tests.places import ROOT


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


def _mjpeg(data: bytes) -> None:
    JpegSplitter().feed(data)


def _json(text: str) -> None:
    with contextlib.suppress(ValueError):
        read_json(text)


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


def _coco(data: bytes) -> None:
    document = parse_document(data, "x.json")
    class_names([document])
    marks_of(document, "x.json", Tally())


def _names(path: Path) -> None:
    for found in names_files([path.parent]):
        read_names(found)


DOCUMENT = (
    Manifest(
        model="tiny",
        task="classify",
        input=Input(name="image", shape=(1, 3, 24, 32)),
        preprocess=Preprocess(size=(24, 32)),
        labels=("red", "green", "blue"),
        weights=Weights(source="arithmetic", sha256="0" * 64, license="Apache-2.0", trained=True),
        precision="fp32",
        target="generic",
        tools={"edgevit": "0.1.0"},
    )
    .to_json()
    .encode()
)
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
    "boxes of YOLO": Parser(
        of_text(lambda text: parse_yolo(text, "a.txt", ("hen", "fox"), Tally())),
        (b"0 0.5 0.5 0.25 0.5\n1 0.1 0.1 0.9 0.1 0.5 0.9\n",),
        (b"0", b"1", b" ", b"\n", b"0.5", b"nan", b"1e999", b"-", b"\xc2\xb2", b"9" * 400, b"1_0"),
    ),
    "boxes of COCO": Parser(
        of_bytes(_coco),
        (
            b'{"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 2, "name": "hen"}], "annotations": '
            b'[{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "segmentation": [[1, 2, 3, 4]]}]}',
        ),
        (b"{", b"}", b"[" * 90, b'"images"', b":", b",", b"NaN", b"9" * 5000, b'"\\ud800"', b"null"),
    ),
    "boxes of Pascal VOC": Parser(
        of_bytes(lambda data: parse_voc(data, "a.xml", Tally())),
        (
            b'<?xml version="1.0"?><annotation><size><width>9</width><height>9</height></size><object><name>hen</name>'
            b"<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4.5</ymax></bndbox></object></annotation>",
        ),
        (b"<annotation>", b"</annotation>", b"<object>", b"<a>" * 200, b"<!DOCTYPE a [", b"<!ENTITY", b"&a;", b"\0"),
    ),
    "names of boxes in YAML": Parser(
        in_a_file(_names, "data.yaml"),
        (b"nc: 2\nnames: ['hen', \"fox\"]  # two\n", b"names:\n  0: hen\n  1: fox\n", b"names:\n- hen\n"),
        (b"names", b":", b" ", b"[", b"{", b"]", b"}", b"'", b'"', b"\n", b"- ", b"#", b"\\", b"\xc2\xb2", b"9" * 400),
    ),
    "YAML": Parser(
        of_text(lambda text: read_yaml(text, "data.yaml")),
        (b"roboflow:\n  license: CC BY 4.0\npath: a\n",),
        (b"a", b":", b" ", b"[", b"{", b"]", b"}", b"'", b'"', b"\n", b"- ", b"#", b"\\", b"\r", b"\x85"),
    ),
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
    "address of a source": Parser(
        of_text(parse_source),
        (b"rtsp://me:secret@farm.org:554/a?b=c", b"camera:0", b"http://h/video#mjpeg"),
        (b"rtsp://", b"http://", b"tcp://", b"camera:", b"picam", b"@", b":", b"/", b"#", b"?", b"[", b"%zz"),
    ),
    "destination": Parser(
        of_text(parse_sink),
        (b"log.csv?size=5MB&keep=7", b"hard:hard/?quota=500MB", b"https://h/x#send=all"),
        (b"mqtt://", b"https://", b"hard:", b"masks:", b".csv", b"?size=", b"&", b"=", b"9" * 400, b"MB", b"#"),
    ),
    "duration": Parser(
        of_text(lambda text: parse_duration(text, "--every")), (b"500ms",), (b"1", b".", b"e9", b"s", b"m")
    ),
    "region": Parser(of_text(parse_region), (b"gate=0.1,0.2,0.5,0.5",), (b"a=", b",", b"nan", b"-1", b"1e999", b"0.5")),
    "tiles": Parser(of_text(parse_grid), (b"3x2",), (b"x", b"9", b"-", b"1000000")),
    "tags of a TIFF": Parser(
        of_bytes(exif_orientation), (b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0",)
    ),
    "MJPEG": Parser(
        of_bytes(_mjpeg), (JPEG + JPEG,), (b"\xff\xd8", b"\xff\xe0", b"\xff\xfa", b"\xff\xd9", b"\xff\xda", b"\0\x08")
    ),
    "TFLite file": Parser(
        in_a_file(read_tflite_metadata, "model.tflite"),
        (),
        (b"\x18\0\0\0TFL3", b"\x10\0\0\0", b"\xff" * 4, b"PK\x03\x04", bytes(8)),
    ),
    "document of a model": Parser(
        of_text(Manifest.from_json),
        (DOCUMENT,),
        (b"{", b"}", b"[", b"]", b'"schema":1', b",", b"null", b"-1", b"1e999", b'"\\ud800"'),
    ),
    "JSON": Parser(
        of_text(_json), (b'{"a": [1, "b"]}',), (b"[" * 90, b"{", b'"', b"\\", b"]" * 90, b"1e999", b"9" * 5000)
    ),
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
