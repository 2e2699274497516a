"""What --weights names becomes a file and all that must be said about it."""

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import CheckpointError, EdgevitError, OptionError, UnknownNameError
from edgevit.models import create_model, list_models
from edgevit.models.weights.resolve import build_with_weights, bundled_path, resolve_weights
from edgevit.models.weights.trained import read_training_facts
from edgevit.models.zoo.registry import get_spec
from edgevit.models.zoo.spec import WeightsSpec


def test_random_weights_are_marked_untrained_and_repeatable() -> None:
    spec = get_spec("sbcformer_xs")
    weights = resolve_weights(spec, "random")
    assert (weights.path, weights.source, weights.trained, weights.sha256) == (None, "random", False, "")
    assert "the answers mean nothing" in weights.note
    first, second = (build_with_weights(spec, weights, 5).state_dict() for _ in range(2))
    assert first["head.weight"].shape == (5, 288)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_file_brings_its_digest_and_its_classes(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    torch.save({"model": create_model("sbcformer_xs", 4).state_dict()}, path)
    spec = get_spec("sbcformer_xs")
    weights = resolve_weights(spec, str(path))
    assert weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (weights.path, weights.source, weights.trained, weights.labels) == (path, "mine.pth", True, ())
    assert weights.preprocess == spec.preprocess
    assert build_with_weights(spec, weights).state_dict()["head.bias"].shape == (4,)


def test_labels_and_preprocessing_of_edgevits_own_training_are_taken(tmp_path: Path) -> None:
    preprocessing = Preprocess(size=(160, 160), crop_pct=1.0)
    metadata = {
        "edgevit_labels": json.dumps(["hen", "fox"]),
        "edgevit_preprocess": json.dumps(dataclasses.asdict(preprocessing)),
        "edgevit_accuracy": json.dumps({"top1": 0.9}),
    }
    save_file(create_model("sbcformer_xs", 2).state_dict(), tmp_path / "mine.safetensors", metadata)
    weights = resolve_weights(get_spec("sbcformer_xs"), str(tmp_path / "mine.safetensors"))
    assert weights.labels == ("hen", "fox")
    assert weights.preprocess == preprocessing


def test_asked_number_of_classes_must_be_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    torch.save(create_model("sbcformer_xs", 4).state_dict(), path)
    spec = get_spec("sbcformer_xs")
    with pytest.raises(CheckpointError, match="has 4 classes, but sbcformer_xs was built for 7; pass num_classes=4"):
        build_with_weights(spec, resolve_weights(spec, str(path)), 7)


@pytest.mark.parametrize("name", ["sbcformer_xs", "efficientvit_b0"])
def test_bundled_weights_are_the_default(name: str) -> None:
    entry = get_spec(name).weights[0]
    try:
        path = bundled_path(entry)
    except CheckpointError:
        pytest.skip("the bundled weights are not in this checkout")
    spec = get_spec(name)
    weights = resolve_weights(spec, None)
    assert weights == resolve_weights(spec, "cifar10")
    assert (weights.path, weights.source, weights.trained) == (path, f"{name}/cifar10", True)
    assert weights.note == "10 classes, CIFAR-10, not ImageNet"
    assert build_with_weights(spec, weights)(torch.zeros(1, 3, 64, 64)).shape == (1, len(weights.labels))


@pytest.mark.parametrize(
    ("model", "weights", "entry"),
    [
        ("efficientvit_b0", "imagenet", "imagenet_r224"),
        ("efficientvit_b1.r288_in1k", None, "imagenet_r288"),
        ("efficientvit_b1.r288_in1k", "imagenet_r256", "imagenet_r256"),
        ("efficientvit_b1", "r256_in1k", "imagenet_r256"),
    ],
)
def test_imagenet_and_timms_names_are_published_weights(
    model: str, weights: str | None, entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(wanted: WeightsSpec) -> Path:
        (tmp_path / wanted.file).touch()
        return tmp_path / wanted.file

    monkeypatch.setattr("edgevit.models.weights.resolve.fetch", fetch)
    spec = get_spec(model)
    assert resolve_weights(spec, weights).source == f"{spec.name}/{entry}"


def test_missing_bundled_file_is_said() -> None:
    entry = get_spec("sbcformer_xs").weights[0]
    with pytest.raises(CheckpointError, match="none.safetensors are missing from this installation; install"):
        bundled_path(dataclasses.replace(entry, file="none.safetensors"))


def _refusal(name: str, weights: str | None) -> EdgevitError:
    with pytest.raises(EdgevitError) as caught:
        resolve_weights(get_spec(name), weights)
    assert "\n" not in str(caught.value)
    return caught.value


def test_without_published_weights_the_choices_are_listed() -> None:
    error = _refusal("sbcformer_l", None)
    assert isinstance(error, OptionError)
    assert error.exit_code == 2
    for choice in ("weights=FILE", "edgevit train sbcformer_l --data DIR", "weights= random"):
        assert choice in str(error)


def test_unknown_entry_lists_those_there_are() -> None:
    error = _refusal("efficientvit_b0", "imagenet_224")
    assert isinstance(error, UnknownNameError)
    assert str(error) == (
        "no weights of efficientvit_b0 named 'imagenet_224'; did you mean imagenet_r224? "
        "All: cifar10, pretrained, imagenet_r224, random, FILE"
    )


@pytest.mark.parametrize("weights", ["none.pt", "runs/best"])
def test_missing_file_is_said(weights: str) -> None:
    error = _refusal("sbcformer_xs", weights)
    assert isinstance(error, CheckpointError)
    assert str(error).startswith(f"{weights} does not exist")


@pytest.mark.parametrize("weights", ["", ":model"])
def test_no_weights_are_not_taken_for_the_current_folder(weights: str) -> None:
    assert str(_refusal("sbcformer_xs", weights)) == f"the weights are {weights!r}, expected a name or a file"


def test_folder_is_no_file_of_weights(tmp_path: Path) -> None:
    assert "is a folder; give the file of weights in it" in str(_refusal("sbcformer_xs", str(tmp_path)))


def test_averaged_weights_are_exported_and_named_unless_others_are_chosen(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spec, path = get_spec("sbcformer_xs"), tmp_path / "mine.pt"
    raw, averaged = create_model("sbcformer_xs", 4).state_dict(), create_model("sbcformer_xs", 4).state_dict()
    raw["head.bias"] = torch.full((4,), 1.0)
    averaged["head.bias"] = torch.full((4,), 2.0)
    torch.save({"state_dict": raw, "ema": {0.9998: averaged}}, path)
    with caplog.at_level("INFO"):
        weights = resolve_weights(spec, str(path))
        assert build_with_weights(spec, weights).state_dict()["head.bias"].tolist() == [2.0] * 4
    assert weights.source == "mine.pt:ema/0.9998"
    assert (
        "took the averaged weights 'ema/0.9998'; the file also holds 'state_dict'; choose with --weights" in caplog.text
    )
    chosen = resolve_weights(spec, f"{path}:state_dict")
    assert (chosen.path, chosen.key, chosen.source) == (path, "state_dict", "mine.pt:state_dict")
    assert build_with_weights(spec, chosen).state_dict()["head.bias"].tolist() == [1.0] * 4


BUNDLED = [(name, entry) for name in list_models() for entry in get_spec(name).weights if entry.bundled]


@pytest.mark.parametrize(("name", "entry"), BUNDLED, ids=[f"{name}-{entry.name}" for name, entry in BUNDLED])
def test_what_is_listed_of_bundled_weights_is_what_their_file_says(name: str, entry: WeightsSpec) -> None:
    facts = read_training_facts(bundled_path(entry))
    assert facts is not None
    assert facts.labels == entry.labels
    assert len(facts.labels) == entry.num_classes
    # the detector is exported for smaller pictures than its training ended with
    size = entry.preprocess.size if name == "efficientvit_b0_det" else facts.preprocess.size
    assert dataclasses.replace(facts.preprocess, size=size) == entry.preprocess
    assert resolve_weights(get_spec(name), entry.name).held_out == facts.held_out


def test_bundled_weights_say_what_they_were_trained_on() -> None:
    record = resolve_weights(get_spec("efficientvit_b0_det"), "aquarium").held_out
    assert record is not None
    assert (record.split, record.images, record.trained, len(record.sample)) == ("folder", 147, 598, 16)
