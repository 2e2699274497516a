"""From photographs to a verdict: no picture that a model learnt or was calibrated from ever judges it."""

import json
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgevit.artifact.manifest import read_manifest
from edgevit.cli import main

NAME = "efficientvit_b0"
COLORS = {"blue": (200, 60, 40), "green": (60, 190, 50), "red": (40, 60, 200)}
LEARNT = ("trained", "statistics", "calibrated")
JUDGED = ("measured", "verified", "decided", "reported", "validated")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Make 40 noisy pictures of each colour, and what lies beside pictures on a real disk."""
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    for name, color in COLORS.items():
        (folder / name / ".ipynb_checkpoints").mkdir(parents=True)
        (folder / name / "1.heic").touch()
        for i in range(40):
            pixels = rng.normal(color, 25, (36, 40, 3)).clip(0, 255).astype(np.uint8)
            assert cv2.imwrite(str(folder / name / f"{i}.png"), pixels)
        (folder / name / ".ipynb_checkpoints" / "0-checkpoint.png").write_bytes((folder / name / "0.png").read_bytes())
    return folder


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, set[Path]]:
    """Note at the place where each step takes its pictures which ones they are."""
    from edgevit.export.data import choose
    from edgevit.export.data.images import ExportImages
    from edgevit.export.quantization import int8
    from edgevit.export.report import measure
    from edgevit.runtime.evaluation import classification
    from edgevit.training import accuracy, batches, finish

    monkeypatch.setenv("EDGEVIT_HOME", str(tmp_path / "cache"))
    found: dict[str, set[Path]] = defaultdict(set)

    def note(where: Any, name: str, role: str, paths: Callable[..., Any]) -> None:
        real = getattr(where, name)

        def noting(*arguments: Any, **options: Any) -> Any:
            found[role].update(Path(path) for path in paths(*arguments))
            return real(*arguments, **options)

        monkeypatch.setattr(where, name, noting)

    note(batches, "read_image", "trained", lambda path: [path])
    note(finish, "plain_inputs", "statistics", lambda samples, *_: samples.paths)
    note(accuracy, "plain_inputs", "measured", lambda samples, *_: samples.paths)
    note(int8, "_cached_ranges", "calibrated", lambda model, images, *_: images.images)
    note(int8, "evaluator_of", "decided", lambda images, *_: images.images)
    note(measure, "run_file", "reported", lambda model, suffix, images, *_: images.images)
    note(classification, "read_image", "validated", lambda path: [path])

    real = choose.choose_images

    def choosing(*arguments: Any, **options: Any) -> ExportImages:
        images = real(*arguments, **options)
        found["verified"].update(image for image in images.verification.images if isinstance(image, Path))
        return images

    monkeypatch.setattr("edgevit.export.pipeline.choose_images", choosing)
    return found


@pytest.fixture
def edgevit(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    def run(*arguments: object) -> tuple[str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(list(map(str, arguments)))
        printed = capsys.readouterr()
        assert not end.value.code, printed.err
        return printed.out, printed.err

    return run


def test_no_picture_is_in_two_roles(
    data: Path, used: dict[str, set[Path]], edgevit: Callable[..., tuple[str, str]], tmp_path: Path
) -> None:
    run, model, page = tmp_path / "run", tmp_path / "model.onnx", tmp_path / "page.html"
    options = ("--sizes", "64*4", "--batch", 16, "--ema-decay", 0.9, "--threads", 1, "--seed", 1)
    out, err = edgevit("train", NAME, "--data", data, *options, "-o", run)
    weights = run / f"{NAME}.safetensors"
    assert "3 files left out: 3 .heic; folders left out: .ipynb_checkpoints (3)" in err
    count = len(used["measured"])
    assert any(line.endswith(f"of {count} images that were not trained on") for line in out.splitlines())

    int8 = ("--int8", "--data", data, "--max-drop", 100, "--report", page)
    _, err = edgevit("export", NAME, "--weights", weights, *int8, "-o", model)
    assert f"lost on {count} images from the folder given with --data, not trained on" in err
    assert f"of {count} images from the folder given with --data, not trained on get PyTorch's class" in err
    score = json.loads(page.with_suffix(".json").read_text())["score"]
    assert (score["measure"], score["images"]) == ("top-1 accuracy", count)
    assert score["source"] == "from the folder given with --data, not trained on"
    assert f"{count} images from the folder given with --data, not trained on" in page.read_text()
    manifest = read_manifest(model)
    assert manifest is not None
    assert manifest.weights.held_out is not None
    assert (manifest.weights.held_out.images, manifest.weights.held_out.trained) == (count, 120 - count)

    out, err = edgevit("validate", model, weights, "--data", data, "--json")
    assert f"judged on {count} pictures that were not trained on; --all for all 120\n" in err
    assert "warning" not in err
    found = json.loads(out)
    assert (found["images"], found["judged"]["of"], found["judged"]["trained_on"]) == (count, 120, 0)

    learnt = set().union(*(used[role] for role in LEARNT))
    for role in JUDGED:
        assert len(used[role]) == count, role
        assert {path.parent.name for path in used[role]} == set(COLORS), "every class is judged"
        assert not used[role] & learnt, role
    assert used["calibrated"] <= used["trained"]
    assert len(learnt) == 120 - count
    assert not any(re.search(r"checkpoint|heic", str(path)) for path in learnt)

    used["validated"].clear()
    _, err = edgevit("validate", model, "--data", data, "--all")
    assert f"judged on 120 pictures, {120 - count} of which were trained on\n" in err
    assert len(used["validated"]) == 120
