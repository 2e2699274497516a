"""What an export for no certain board tells about the board that most users have."""

from edgevit.artifact.manifest import Manifest
from edgevit.cli.board_times import BOARD, board_basis, own_ms
from edgevit.device_profiles import find_profile
from edgevit.models.zoo.registry import get_spec


def describe_target(manifest: Manifest) -> str:
    """Return what a TFLite file of the model would gain on BOARD over the ONNX file, or how to find that out."""
    profile = find_profile(BOARD)
    onnx, tflite = (own_ms(manifest.model, form, manifest.precision) for form in ("onnx", "tflite"))
    own_size = manifest.preprocess.size == get_spec(manifest.model).preprocess.size
    if own_size and onnx is not None and tflite is not None:
        return (
            f"on a {profile.title} TFLite is estimated at {tflite:.0f} ms against {onnx:.0f} "
            f"({board_basis()}): --target {profile.name}"
        )
    return (
        f"for a {profile.title}: --target {profile.name} writes {profile.format.preferred}; "
        f"edgevit benchmark --estimate {profile.name} FILE tells what each would take"
    )
