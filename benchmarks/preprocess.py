"""What reading and preparing an image costs, and whether the fast path changes any answer.

Times a generated 12-megapixel JPEG, a 1080p frame and a 640x480 frame, with every path interleaved in one run: Pillow
(the reference), the same arithmetic in edgevit (exact), and edgevit's default (fast: the JPEG decoded at reduced
scale, huge images halved first).

With --model and --data it also compares the top-1 class of each image of a folder with that after Pillow's
preprocessing; --enlarge N first makes every pixel a square until the short side has N pixels, and stores the image as
a JPEG, so that small images too go through the fast path, and with harder edges than any photograph.

With --a72 it also counts instructions on an emulated Cortex-A72 (what tools/a72/build.py made).

    python benchmarks/preprocess.py [--a72 DIR/3.11] [--model MODEL.onnx --data DIR [--enlarge 2048] [--images N]]
"""

import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np
from evenly import evenly
from numpy.typing import NDArray
from PIL import Image

from edgevit.artifact.manifest import Preprocess, read_manifest
from edgevit.runtime.backends.session import open_session
from edgevit.runtime.datasets.listing import list_images
from edgevit.runtime.images.preprocess import center_box, min_decode_size, normalize, preprocess, scaled_size
from edgevit.runtime.images.read import read_image
from edgevit.system.program import Program

COUNT = Path(__file__).parents[1] / "tools" / "a72" / "prepare.py"
REPEATS = 15
PHOTO = (3024, 4032)
"""(height, width) of 12 megapixels."""
PILLOW_KERNELS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}

Prepare = Callable[[bytes | NDArray[np.uint8], Preprocess], NDArray[np.float32]]


def with_pillow(source: bytes | NDArray[np.uint8], preprocessing: Preprocess) -> NDArray[np.float32]:
    image = Image.open(io.BytesIO(source)).convert("RGB") if isinstance(source, bytes) else Image.fromarray(source)
    height, width = scaled_size((image.height, image.width), preprocessing)
    box = center_box((height, width), preprocessing.size)
    scaled = image.resize((width, height), PILLOW_KERNELS[preprocessing.interpolation])
    return normalize(np.asarray(scaled)[box.top : box.top + box.height, box.left : box.left + box.width], preprocessing)


def exactly(source: bytes | NDArray[np.uint8], preprocessing: Preprocess) -> NDArray[np.float32]:
    return preprocess(read_image(source), preprocessing, speed="exact")


def fast(source: bytes | NDArray[np.uint8], preprocessing: Preprocess) -> NDArray[np.float32]:
    return preprocess(read_image(source, min_size=min_decode_size(preprocessing)), preprocessing)


WAYS: dict[str, Prepare] = {"Pillow": with_pillow, "exact": exactly, "fast": fast}


@click.command(cls=Program, help=__doc__)
@click.option("--model", type=click.Path(path_type=Path), help="An exported model, to compare answers with.")
@click.option("--data", help="A folder of images to compare answers on.")
@click.option("--enlarge", default=0, metavar="N", help="Short side in pixels that images are blown up to.")
@click.option("--images", default=0, metavar="N", help="At most so many, evenly spread over the folder; 0: all.")
@click.option("--a72", type=click.Path(path_type=Path), help="An emulated board, to count instructions on.")
def main(model: Path | None, data: str | None, enlarge: int, images: int, a72: Path | None) -> None:
    print_times()
    if a72 is not None:
        print_instructions(a72)
    if model is not None and data is not None:
        print_agreement(model, data, enlarge, images)


def print_instructions(system: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        photo.write_bytes(as_jpeg(generated_photo(*PHOTO)))
        done = subprocess.run([sys.executable, COUNT, system, photo], check=True, stdout=subprocess.PIPE, text=True)
    click.echo(f"\nmillions of instructions on the emulated board, one thread\n{done.stdout}")


def print_times() -> None:
    preprocessing = Preprocess((224, 224))
    photo = generated_photo(*PHOTO)
    sources: dict[str, bytes | NDArray[np.uint8]] = {
        "12-megapixel JPEG": as_jpeg(photo),
        "12-megapixel array": photo,
        "1920x1080 array": photo[:1080, :1920].copy(),
        "640x480 array": photo[:480, :640].copy(),
    }
    click.echo(f"to a 224x224 input, bicubic, median of {REPEATS}, milliseconds")
    click.echo(f"{'':20}" + "".join(f"{name:>9}" for name in WAYS))
    for name, source in sources.items():
        times: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(REPEATS):
            for way, prepare in WAYS.items():
                start = time.perf_counter()
                prepare(source, preprocessing)
                times[way].append(1e3 * (time.perf_counter() - start))
        click.echo(f"{name:20}" + "".join(f"{statistics.median(times[way]):9.2f}" for way in WAYS))


def print_agreement(model: Path, data: str, enlarge: int, most: int) -> None:
    manifest = read_manifest(model)
    if manifest is None:
        raise click.BadParameter(f"{model} was not exported by edgevit")
    paths = list(list_images(data))
    paths = evenly(paths, most) if most else paths
    session = open_session(model)
    preprocessing = manifest.host_preprocess
    same = dict.fromkeys(WAYS, 0)
    largest = dict.fromkeys(WAYS, 0.0)
    for path in paths:
        source = blown_up(path, enlarge) if enlarge else path.read_bytes()
        inputs = {way: prepare(source, preprocessing) for way, prepare in WAYS.items()}
        answers = {way: int(session.run(values[None]).argmax()) for way, values in inputs.items()}
        for way in WAYS:
            same[way] += answers[way] == answers["Pillow"]
            levels = 255 * min(preprocessing.std) * np.abs(inputs[way] - inputs["Pillow"]).max()
            largest[way] = max(largest[way], float(levels))
    click.echo(
        f"\n{len(paths)} images{f', enlarged to {enlarge} pixels' * bool(enlarge)}: same top-1 class as with Pillow"
    )
    for way in ("exact", "fast"):
        click.echo(
            f"{way:8} {same[way] / len(paths):8.2%}   largest difference of a pixel {largest[way]:.1f} of 255 levels"
        )


def generated_photo(height: int, width: int) -> NDArray[np.uint8]:
    """Return a picture with detail at every scale, as photographs have: noise summed over octaves."""
    random = np.random.default_rng(0)
    picture: NDArray[np.float32] = np.zeros((height, width, 3), np.float32)
    for octave in range(2, 12):
        noise = random.normal(0, 1, (height // 2**octave + 2, width // 2**octave + 2, 3)).astype(np.float32)
        picture += 2.0**octave * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    picture += random.normal(0, 4, picture.shape).astype(np.float32)
    low, high = np.percentile(picture[::16, ::16], [1, 99])
    return np.asarray(np.clip(255 * (picture - low) / (high - low), 0, 255), np.uint8)


def blown_up(path: Path, short: int) -> bytes:
    image = read_image(path)
    factor = -(-short // min(image.shape[:2]))
    return as_jpeg(np.repeat(np.repeat(image, factor, axis=0), factor, axis=1))


def as_jpeg(image: NDArray[np.uint8]) -> bytes:
    found, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    assert found
    return data.tobytes()


if __name__ == "__main__":
    main()
