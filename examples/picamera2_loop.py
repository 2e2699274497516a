"""Classify what a Raspberry Pi camera sees, with picamera2: for those who set exposure, focus or zoom themselves.

    python examples/picamera2_loop.py model.onnx

picamera2 comes with Raspberry Pi OS: `sudo apt install python3-picamera2`, and an environment made with
`python3 -m venv --system-site-packages .venv`. Who sets nothing needs none of it: `edgevit run model.onnx picam`.
"""

import argparse

from picamera2 import Picamera2

import edgevit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--frames", type=int, help="end after so many")
    options = parser.parse_args()

    with edgevit.load(options.model) as classifier, Picamera2() as camera:
        # what picamera2 calls RGB888 lies in memory as blue, green, red
        camera.configure(camera.create_video_configuration(main={"format": "RGB888", "size": (1280, 720)}))
        camera.start()
        frame = 0
        while frame != options.frames:
            result = classifier(camera.capture_array(), bgr=True)
            frame += 1
            print(f"{frame} {result.top1} {result.top1_conf:.2f} ({result.inference_ms:.0f} ms)", flush=True)


if __name__ == "__main__":
    main()
