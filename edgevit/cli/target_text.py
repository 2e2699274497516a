"""What an export for no certain board tells about the board that most users have."""

from edgevit.artifact.manifest import Manifest
from edgevit.device_profiles import find_profile
from edgevit.models.zoo.latency import PI4_BASIS, find_latency
from edgevit.models.zoo.registry import get_spec

BOARD = "rpi4"
"""The board that is spoken of where none is named."""


def describe_target(manifest: Manifest) -> str:
    """Return what a TFLite file of the model would gain on BOARD over the ONNX file, or how to find that out."""
    profile, latency = find_profile(BOARD), find_latency(manifest.model)
    if latency is not None and manifest.preprocess.size == get_spec(manifest.model).preprocess.size:
        int8 = manifest.precision == "int8"
        onnx = latency.rpi4_int8_ms if int8 else latency.rpi4_fp32_ms
        tflite = latency.rpi4_tflite_int8_ms if int8 else latency.rpi4_tflite_fp32_ms
        if tflite is not None:
            return (
                f"on a {profile.title} TFLite is estimated at {tflite:.0f} ms against {onnx:.0f} "
                f"({PI4_BASIS}): --target {profile.name}"
            )
    return (
        f"for a {profile.title}: --target {profile.name} writes {profile.format.preferred}; "
        f"edgevit benchmark --estimate {profile.name} FILE tells what each would take"
    )
