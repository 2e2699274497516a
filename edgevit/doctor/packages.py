"""Checks of what pip installed: versions that crash, builds that do not fit together, imports that kill the process."""

from collections.abc import Iterator

from edgevit.device_profiles.evidence import read_evidence
from edgevit.doctor.environment import Environment, Finding, Outcome, numbers

MODULES = {
    "numpy": "numpy",
    "opencv-python-headless": "cv2",
    "opencv-python": "cv2",
    "onnxruntime": "onnxruntime",
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
    "picamera2": "picamera2",
}
"""Distribution to the module whose import proves that it runs here."""
IMPORT_TIMEOUT_S = 120.0
GUI_BUILDS = ("opencv-python", "opencv-contrib-python")
HEADLESS_BUILDS = ("opencv-python-headless", "opencv-contrib-python-headless")
GOOD_ONNXRUNTIME = "pip install 'onnxruntime>=1.20,!=1.21.0'"
KNOWN_HOLES = {
    **dict.fromkeys(("opencv-python", "opencv-contrib-python"), ((4, 12), "its bundled image and video libraries")),
    **dict.fromkeys(HEADLESS_BUILDS, ((4, 12), "its bundled image and video libraries")),
    # CVE-2025-32434, CVE-2026-24747
    "torch": ((2, 10), "its reader of weights"),
    # CVE-2026-27489, 34445, 34446, 34447
    "onnx": ((1, 21), "its reader of external data"),
}
"""Distribution to the first version without known holes, and where the older ones have them."""
ABI_SIGNS = ("compiled using NumPy 1.x", "_ARRAY_API not found", "numpy.dtype size changed", "numpy.core.multiarray")
"""What extensions say on stderr when they were built for another numpy."""


def check_onnxruntime(env: Environment) -> Iterator[Finding]:
    """1.21.0 dies with SIGILL on ARMv8.0 (microsoft/onnxruntime issues 23957 and 24112)."""
    version = env.packages.get("onnxruntime")
    if version is None:
        yield Finding("onnxruntime", "fail", "onnxruntime is not installed; .onnx files need it", GOOD_ONNXRUNTIME)
    elif version == "1.21.0" and _is_armv80(env):
        yield Finding("onnxruntime", "fail", "1.21.0 crashes on this processor, as on all ARMv8.0", GOOD_ONNXRUNTIME)
    elif version == "1.21.0":
        text = "1.21.0 works here, but crashes on ARMv8.0 boards such as the Raspberry Pi 4"
        yield Finding("onnxruntime", "warn", text, GOOD_ONNXRUNTIME)
    elif numbers(version) < (1, 20):
        yield Finding("onnxruntime", "warn", f"{version} is older than edgevit is tested with", GOOD_ONNXRUNTIME)
    else:
        yield Finding("onnxruntime", "ok", version)


def check_torch(env: Environment) -> Iterator[Finding]:
    """PyTorch's wheels use instructions that ARMv8.0 lacks (pytorch issues 132032 and 146792); the board needs none."""
    if "torch" not in env.packages:
        return
    if _is_armv80(env):
        text = "torch dies with an illegal instruction on this processor; export on a PC, the board only runs"
        yield Finding("torch", "warn", text, "pip uninstall torch")
    else:
        yield Finding("torch", "ok", env.packages["torch"])


def check_imports(env: Environment) -> Iterator[Finding]:
    """Each package is imported in a process of its own, which may die of it."""
    modules = {MODULES[name]: name for name in reversed(MODULES) if name in env.packages}
    for module, name in reversed(modules.items()):
        outcome = env.run(env.python, "-c", f"import {module}", timeout_s=IMPORT_TIMEOUT_S)
        yield _judge_import(name, f"{name} {env.packages[name]}", outcome)


def _judge_import(name: str, package: str, outcome: Outcome | None) -> Finding:
    again = GOOD_ONNXRUNTIME if name == "onnxruntime" else f"pip install --force-reinstall {name}"
    if outcome is None:
        return Finding("imports", "fail", f"importing {package} does not end within {IMPORT_TIMEOUT_S:.0f} s", again)
    if outcome.signal_name == "SIGILL":
        text = f"importing {package} dies with an illegal instruction: built for a newer processor"
        return Finding(
            "imports", "fail", text, f"install another version: {again.replace('--force-reinstall', '--upgrade')}"
        )
    if outcome.signal_name:
        return Finding("imports", "fail", f"importing {package} dies with {outcome.signal_name}", again)
    if any(sign in outcome.err for sign in ABI_SIGNS):
        text = f"{package} was built for another numpy than the installed one"
        return Finding("imports", "fail", text, f"pip install --upgrade {name}, or: pip install 'numpy<2'")
    if outcome.code != 0:
        return Finding("imports", "fail", f"importing {package} fails: {outcome.last_error}", again)
    return Finding("imports", "ok", f"{package} can be imported")


def check_numpy(env: Environment) -> Iterator[Finding]:
    """Packages that were built for numpy 1 and install beside numpy 2 without a word."""
    numpy = env.packages.get("numpy")
    if numpy is None:
        yield Finding("numpy", "fail", "numpy is not installed", "pip install numpy")
        return
    opencv = next((env.packages[name] for name in HEADLESS_BUILDS + GUI_BUILDS if name in env.packages), None)
    litert = "ai-edge-litert" in env.packages
    if numbers(numpy) >= (2,) and "tflite-runtime" in env.packages:
        text = f"tflite-runtime cannot work with numpy {numpy}: it imports, then its interpreter fails"
        remedy = "pip uninstall tflite-runtime" if litert else "pip install ai-edge-litert, or: pip install 'numpy<2'"
        yield Finding("numpy", "warn" if litert else "fail", text, remedy)
    elif numbers(numpy) >= (2,) and opencv and numbers(opencv) < (4, 10):
        text = f"OpenCV {opencv} was built for numpy 1, {numpy} is installed"
        yield Finding("numpy", "fail", text, "pip install --upgrade opencv-python-headless")
    elif numbers(numpy) < (2,) and opencv and numbers(opencv) >= (4, 12):
        text = f"OpenCV {opencv} needs numpy 2, {numpy} is installed"
        yield Finding("numpy", "warn", text, "pip install 'opencv-python-headless<4.12', or: pip install 'numpy>=2'")
    else:
        yield Finding("numpy", "ok", numpy)


def check_holes(env: Environment) -> Iterator[Finding]:
    """Versions with known holes are kept only by those who need them, as tflite-runtime needs numpy 1."""
    for name in filter(env.packages.__contains__, KNOWN_HOLES):
        first, where = KNOWN_HOLES[name]
        if numbers(env.packages[name]) < first:
            is_opencv, needs_numpy = "opencv" in name, numbers(env.packages.get("numpy", "2")) < (2,)
            also = "; until then give it pictures of your own only" if is_opencv else ""
            others = " ai-edge-litert 'numpy>=2'" if is_opencv and needs_numpy else ""
            text = f"{name} {env.packages[name]} has known holes in {where}{also}"
            yield Finding("known holes", "warn", text, f"pip install '{name}>={'.'.join(map(str, first))}'{others}")


def check_opencv(env: Environment) -> Iterator[Finding]:
    """The build with windows wants graphics libraries that a headless board lacks; two builds overwrite each other."""
    builds = [name for name in HEADLESS_BUILDS + GUI_BUILDS if name in env.packages]
    with_windows = [name for name in builds if name in GUI_BUILDS]
    mend = f"pip uninstall -y {' '.join(builds)} && pip install opencv-python-headless"
    if not builds:
        yield Finding("opencv", "fail", "OpenCV is not installed", "pip install opencv-python-headless")
    elif len(builds) > 1:
        yield Finding("opencv", "warn", f"{' and '.join(builds)} are installed, and overwrite each other's cv2", mend)
    elif with_windows and not env.display:
        text = f"{with_windows[0]} needs graphics libraries, and there is no display"
        yield Finding("opencv", "warn", text, mend)
    else:
        yield Finding("opencv", "ok", f"{builds[0]} {env.packages[builds[0]]}")


def _is_armv80(env: Environment) -> bool:
    return env.machine == "aarch64" and "dotprod" not in read_evidence(env.root).features
