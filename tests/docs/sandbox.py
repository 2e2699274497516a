"""A home for a block of the documents: the files that it names, and programs that stand in for those of a board."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx

from tests.docs.blocks import Block
from tests.places import ROOT

PYTHON = f'exec "{sys.executable}" -P'

PROGRAMS = {
    "edgevit": f'{PYTHON} -m tests.docs.stand_ins edgevit "$@"',
    "python3": 'exec python "$@"',
    # a virtual environment of the same stand-ins; a script of the checkout need only know the options
    "python": f"""
case "$1 $2" in
  "-m venv") mkdir -p "$3/bin"
    for name in python python3 pip edgevit; do ln -sf "$PROGRAMS/$name" "$3/bin/$name"; done
    echo "PATH=\\"$PWD/$3/bin:\\$PATH\\"" > "$3/bin/activate"; exit ;;
  "-m pytest") exit ;;
  "-m edgevit."*) file=$(echo "$2" | tr . /).py; shift 2 ;;
  "benchmarks/"*|"tools/"*) file=$1; shift ;;
  *) {PYTHON} "$@" ;;
esac
cd "{ROOT}"
test -f "$file" || {{ echo "no file $file" >&2; exit 1; }}
case "$file" in benchmarks/*) room="$(dirname "$file")" ;; *) room="$file" ;; esac
for word in "$@"; do
  case "$word" in --*) grep -rqF -e "\\"$word\\"" "$room" || {{ echo "$file knows no $word" >&2; exit 1; }} ;; esac
done
""",
    # what is installed must be there: a wheel, an extra of setup.cfg, or a package by name
    "pip": f"""
test "$1" = install || exit 1
shift
for word in "$@"; do
  case "$word" in
    -*) ;;
    *.whl) test -f "$word" || {{ echo "no file $word" >&2; exit 1; }} ;;
    *"["*"]") extras=${{word#*[}}; for extra in $(echo "${{extras%]}}" | tr , ' '); do
        grep -q "^$extra =" "{ROOT}/setup.cfg" || {{ echo "no extra $extra" >&2; exit 1; }}
      done
      case "$word" in .*|edgevit*) ;; *.whl*) ls "${{word%%[*}}" >/dev/null || exit 1 ;; *) exit 1 ;; esac ;;
    .) ;;
    [a-zA-Z]*) ;;
    *) echo "what is $word?" >&2; exit 1 ;;
  esac
done
""",
    # what is compiled must be there; nothing comes of it, and a library that is missing is left out with a word
    "gcc": f"""
for word in "$@"; do
  case "$word" in *.c) test -f "{ROOT}/$word" || {{ echo "no file $word" >&2; exit 1; }} ;; esac
done
""",
    # one process stands for all of them
    "torchrun": 'test "$1 $3 $4" = "--nproc-per-node -m edgevit" && shift 4 && exec edgevit "$@"',
    "rsync": """
for last in "$@"; do :; done
case "$last" in *@*:/*) ;; *) echo "rsync to $last?" >&2; exit 1 ;; esac
for word in "$@"; do
  case "$word" in "$last"|-*) ;; *) test -e "$word" || { echo "no file $word" >&2; exit 1; } ;; esac
done
""",
    "apt": 'test "$1" = install',
    "apt-get": 'test "$1" = install',
    "make": f"""
env -i PATH=/usr/bin:/bin make -n -C "{ROOT}" "$@" >/dev/null || exit 1
case "$*" in *board-wheel*) mkdir -p dist/board && touch dist/board/edgevit-0.1.0-py3-none-any.whl ;; esac
""",
    "scp": """
for last in "$@"; do :; done
case "$last" in
  *@*:*|board:*) for word in "$@"; do
      test "$word" = "$last" || test -e "$word" || { echo "no file $word" >&2; exit 1; }
    done ;;
  .) case "$1 $2" in "-r "*@*:*) ;; *) echo "scp of $2?" >&2; exit 1 ;; esac ;;
  *) echo "scp to $last?" >&2; exit 1 ;;
esac
""",
    "sudo": 'exec env "$@"',
    "systemctl": 'case "$1 $2" in "daemon-reload "|*"able --now"|"reload edgevit") ;; *) exit 1 ;; esac',
    "loginctl": 'test "$1" = enable-linger',
    "journalctl": 'echo "edgevit: started"',
    # a camera of two pictures that take turns, since one that repeats itself is frozen
    "rpicam-vid": """
trap 'exit 0' PIPE
case "$*" in *yuv420*) cat "$HOME/.camera/yuv"; exit ;; esac
while cat "$HOME/.camera/1.jpg" && sleep 0.05 && cat "$HOME/.camera/2.jpg" && sleep 0.05; do :; done
""",
    "ffmpeg": 'test -f "$2" && cat "$HOME/.camera/rgb24"',
}
"""Name to what it does, in the shell's language."""

MASKED = 20
"""Pictures of a data set with masks, so that training holds some of them out."""
BOXED = 20
"""Pictures of a data set with boxes."""

PICTURES = (
    *("pen3.jpg", "cat.jpg", "dog.jpg", "a.jpg", "b.jpg", "street.jpg"),
    *(f"photos/{label}/{number}.jpg" for label in ("red", "green", "blue") for number in range(6)),
    *(f"frames/{number}.jpg" for number in range(4)),
    *(f"cifar10/train/{label}/{number}.jpg" for label in ("red", "green") for number in range(20)),
    *(f"cifar10/test/{label}/0.jpg" for label in ("red", "green")),
    *(f"{masked}/images/{number}.jpg" for masked in ("shapes", "fields") for number in range(MASKED)),
    *(f"farm/images/{number}.jpg" for number in range(BOXED)),
)
COPIES = {
    "m.onnx": (
        *(
            "farm.onnx",
            "model.onnx",
            "sbcformer_xs.onnx",
            "sbcformer_xs-int8.onnx",
            "pens.onnx",
            "pens-int8.onnx",
        ),
        *("b1.pt", "pens.safetensors", "edgevit-0.1.0-py3-none-any.whl"),
        "runs/sbcformer_xs/sbcformer_xs.safetensors",
    ),
    "m-seg.onnx": ("efficientvit_seg_b0_cityscapes.onnx",),
    "m-det.onnx": (
        "hens.onnx",
        "hens-int8.onnx",
        "yolov8n.onnx",
        "runs/efficientvit_b0_det/efficientvit_b0_det.safetensors",
    ),
}
"""A model to the names under which documents have it, or a file that is only passed on."""


@dataclass(frozen=True)
class Sandbox:
    """A folder that is home and current folder at once."""

    home: Path
    programs: Path
    camera: str
    """Address of the server that stands for cameras."""

    def run(self, block: Block) -> subprocess.CompletedProcess[str]:
        """Paste a block into a shell, or run it as a script."""
        if block.language == "python":
            (self.home / "block.py").write_text(block.text)
            words = [sys.executable, "-P", "-m", "tests.docs.stand_ins", "python", "block.py"]
        else:
            words = ["bash", "-ec", re.sub("/(?:etc|var/lib)/", rf"{self.home}\g<0>", block.text)]
            if "--compare yesterday.json today.json" in block.text:
                words[2] = (
                    f"edgevit benchmark sbcformer_xs-int8.onnx --json | tee yesterday.json > today.json\n{words[2]}"
                )
        environment = {
            "HOME": str(self.home),
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "PROGRAMS": str(self.programs),
            "PYTHONPATH": str(ROOT),
            "EDGEVIT_TEST_CAMERA": self.camera,
            "OMP_NUM_THREADS": "1",
        }
        return subprocess.run(
            words,
            cwd=self.home,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


def make_sandbox(
    folder: Path, classifier: Path, segmenter: Path, detector: Path, for_litert: Path, camera: str
) -> Sandbox:
    """Fill a folder with what blocks name; the four models are moved there."""
    home, programs = folder / "home", folder / "programs"
    for place in (home, programs):
        place.mkdir()
    for name, text in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{text.strip()}\n")
        (programs / name).chmod(0o755)
    classifier.rename(home / "m.onnx")
    segmenter.rename(home / "m-seg.onnx")
    detector.rename(home / "m-det.onnx")
    for_litert.rename(home / "efficientvit_b0-int8.tflite")
    _copy_models(home)
    _draw_pictures(home)
    subprocess.run([programs / "python", "-m", "venv", ".venv"], cwd=home, env={"PATH": f"{programs}:{os.defpath}",
                   "PROGRAMS": str(programs)}, check=True)  # fmt: skip
    return Sandbox(home, programs, camera)


def _copy_models(home: Path) -> None:
    for source, names in COPIES.items():
        for name in names:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes((home / source).read_bytes())
    foreign = onnx.load(home / "m.onnx")
    del foreign.metadata_props[:]
    onnx.save(foreign, home / "efficientnet-lite0.onnx")
    for folder in ("docs", "tools/a72"):
        (home / folder).mkdir(parents=True)
    for name in ("etc/edgevit/mqtt", "var/lib/edgevit/events.jsonl", "var/lib/edgevit/hard/red/0.jpg"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("secret\n")
    (home / "last").touch()
    os.utime(home / "last", (0, 0))


def _draw_pictures(home: Path) -> None:
    red = np.full((48, 64, 3), (25, 50, 200), np.uint8)
    for name in PICTURES:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(home / name), red)
    video = cv2.VideoWriter(str(home / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for _ in range(5):
        video.write(red)
    video.release()
    for name in ("shapes", "fields"):
        (home / name / "masks").mkdir()
        for number in range(MASKED):
            assert cv2.imwrite(str(home / name / "masks" / f"{number}.png"), np.zeros((48, 64), np.uint8))
        (home / name / "classes.txt").write_text("red\ngreen\nblue\n")
    (home / "farm" / "labels").mkdir()
    for number in range(BOXED):
        (home / "farm" / "labels" / f"{number}.txt").write_text(f"{number % 2} 0.5 0.5 0.25 0.5\n")
    (home / "farm" / "classes.txt").write_text("hen\nfox\n")
    (home / ".camera").mkdir()
    for number in (1, 2):
        assert cv2.imwrite(str(home / ".camera" / f"{number}.jpg"), red + np.uint8(number))
    noise = np.random.default_rng(0).integers(0, 255, 2 * 640 * 480 * 3, np.uint8).tobytes()
    (home / ".camera" / "rgb24").write_bytes(noise)
    (home / ".camera" / "yuv").write_bytes(noise * 2)
