"""Count what it takes to make a picture ready for a model on the emulated Cortex-A72, one thread.

    python tools/a72/prepare.py DIR/3.11 PHOTO.jpg

DIR is what build.py made. Prints JSON, millions of instructions to an input of 224 x 224 at crop 1.0: of a frame of
640 x 480 in OpenCV's order, exactly and as live frames are prepared, and of the photograph from the bytes of its JPEG,
exactly and as usual. benchmarks/preprocess.py draws a photograph of 12 megapixels for it.
"""

import json
import sys
from pathlib import Path

from count import PROJECT, run_counted

WAYS = ("frame, exact", "frame, live", "photograph, exact", "photograph, usual")

# Runs in the emulation. Each is done twice, since the first time more is done than afterwards.
GUEST = """
import ctypes, sys
from pathlib import Path
import cv2, numpy as np
from edgevit.artifact.manifest import Preprocess
from edgevit.runtime.images.preprocess import min_decode_size, preprocess
from edgevit.runtime.images.read import read_image

end_region = ctypes.CDLL(None).syscall
cv2.setNumThreads(1)
preprocessing = Preprocess((224, 224), crop_pct=1.0)
frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
photo, least = Path(sys.argv[1]).read_bytes(), min_decode_size(preprocessing)
ways = (
    lambda: preprocess(read_image(frame, bgr=True), preprocessing, speed="exact"),
    lambda: preprocess(read_image(frame, bgr=True), preprocessing, speed="fast"),
    lambda: preprocess(read_image(photo), preprocessing, speed="exact"),
    lambda: preprocess(read_image(photo, min_size=least), preprocessing),
)
for number, way in enumerate(ways, start=1):
    way()
    end_region(0x5A72, 0)
    way()
    end_region(0x5A72, number)
"""


if __name__ == "__main__":
    _, regions = run_counted(Path(sys.argv[1]), GUEST, [sys.argv[2]], False, [PROJECT])
    counts = {way: regions[number]["instructions"] / 1e6 for number, way in enumerate(WAYS, start=1)}
    print(json.dumps({way: round(count, 1) for way, count in counts.items()}, indent=2))
