"""Training starts from the weights of any model with the same backbone, and says what it took."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgevit.errors import CheckpointError, UnknownNameError
from edgevit.models import create_model
from edgevit.models.weights.resolve import bundled_path
from edgevit.models.zoo.registry import find_weights, get_spec
from edgevit.training.initialize import initial_file, load_initial

Save = Callable[[str, int], tuple[nn.Module, str]]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Make a model of random weights, none of them what it was built with, and a file of it."""

    def make(name: str, classes: int) -> tuple[nn.Module, str]:
        torch.manual_seed(7)
        model, path = create_model(name, classes), tmp_path / f"{name}.pth"
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.add_(torch.rand_like(value))
        torch.save({"start_epoch": 300, "amp": False, "model": model.state_dict(), "optimizer": {"state": {}}}, path)
        return model, str(path)

    return make


def _taken(model: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}


def _start(name: str, classes: list[str], weights: str) -> tuple[nn.Module, dict[str, Tensor], str]:
    """Return a model that started from weights, what it was before, and what was said."""
    torch.manual_seed(1)
    model = create_model(name, len(classes))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    return model, before, load_initial(model, get_spec(name), weights, classes)


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        # 374 tensors, less 15 convolutions with their norms in the neck, 24 of them and 9 biased ones in the head
        ("efficientvit_b0", "efficientvit_b0_det", "161 of 374 tensors of efficientvit_b0.pth; new: neck, head"),
        ("efficientvit_seg_b0_cityscapes", "efficientvit_b0_det", "{backbone} of {all} tensors"),
        ("efficientvit_b0_det", "efficientvit_b0", "{backbone} of {all} tensors of efficientvit_b0_det.pth; new: head"),
        ("efficientvit_b0_det", "efficientvit_seg_b0_cityscapes", "{backbone} of {all} tensors"),
        ("efficientvit_seg_b0_cityscapes", "efficientvit_b0", "{backbone} of {all} tensors"),
        ("sbcformer_xs", "sbcformer_xs_det", "{backbone} of {all} tensors of sbcformer_xs.pth; new: neck, head"),
        ("sbcformer_xs_det", "sbcformer_xs", "{backbone} of {all} tensors of sbcformer_xs_det.pth; new: norm, head"),
        ("sbcformer_xs", "sbcformer_xs_retinanet", "{backbone} of {all} tensors of sbcformer_xs.pth; new: neck, bbox"),
        ("sbcformer_xs_retinanet", "sbcformer_xs_det", "{backbone} of {all} tensors"),
    ],
)
def test_a_backbone_is_taken_from_another_task(source: str, target: str, said: str, save: Save) -> None:
    other, path = save(source, 4)
    model, before, found = _start(target, ["fox", "hen"], path)
    theirs = {key.removeprefix("backbone."): value for key, value in other.state_dict().items()}
    names = {key: key.removeprefix("backbone.") for key in before}
    body = {key for key in before if key.startswith(("backbone.", "merging_blocks.", "sbcformer_blocks."))}
    weights = {key for key in body if before[key].is_floating_point()}
    assert all(torch.equal(model.state_dict()[key], theirs[names[key]]) for key in weights)
    assert _taken(model, before) == weights
    every = sum(value.is_floating_point() for value in before.values())
    assert found.startswith(said.format(backbone=len(weights), all=every))


def test_another_detector_gives_all_but_its_classes(save: Save) -> None:
    other, path = save("efficientvit_b0_det", 5)
    model, before, said = _start("efficientvit_b0_det", ["hen", "fox", "egg"], path)
    assert said == (
        "all weights of efficientvit_b0_det.pth but the classifier, which starts anew (5 classes there, 3 here)"
    )
    kept = {key for key in before if key.startswith("head.cls_preds.")}
    assert len(kept) == 6
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key] if key in kept else other.state_dict()[key]), key


def test_retinanets_classifier_has_nine_rows_for_a_class(save: Save) -> None:
    _, path = save("sbcformer_xs_retinanet", 4)
    model, before, said = _start("sbcformer_xs_retinanet", ["hen", "fox"], path)
    assert said.endswith("(4 classes there, 2 here)")
    assert set(before) - _taken(model, before) >= {"bbox_head.retina_cls.weight", "bbox_head.retina_cls.bias"}
    assert "bbox_head.retina_reg.weight" in _taken(model, before)


def test_official_yolox_file_is_read(save: Save) -> None:
    """The weights are under "model", beside what the training needed."""
    other, path = save("yolox_nano", 3)
    model, _, said = _start("yolox_nano", ["hen", "fox", "egg"], path)
    assert said == "all weights of yolox_nano.pth"
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in model.state_dict().items())


def test_weights_of_the_classifier_are_known_by_name() -> None:
    """The bundled ones need no download; 10 classes of CIFAR-10 are nothing to a detector."""
    model, before, said = _start("efficientvit_b0_det", ["hen"], "cifar10")
    assert said.endswith("tensors of efficientvit_b0/cifar10; new: neck, head")
    assert any(key.startswith("backbone.stages.3") for key in _taken(model, before))
    names = "aquarium, cifar10, pretrained, imagenet_r224, random"
    with pytest.raises(UnknownNameError, match=f"imagenet_r224. All: {names}"):
        _start("efficientvit_b0_det", ["hen"], "imagenette")


def test_pretrained_weights_give_all_but_the_classifier() -> None:
    _, _, said = _start("efficientvit_b0", ["hen", "fox"], "pretrained")
    assert said == (
        "all weights of efficientvit_b0/pretrained but the classifier, which starts anew (200 classes there, 2 here)"
    )


@pytest.mark.parametrize(
    ("source", "target"), [("efficientvit_b0", "efficientvit_b1_det"), ("sbcformer_xs", "efficientvit_b0_det")]
)
def test_another_backbone_is_refused(source: str, target: str, save: Save) -> None:
    _, path = save(source, 2)
    with pytest.raises(CheckpointError, match=f"its layers are those of {source}"):
        _start(target, ["hen", "fox"], path)


@pytest.mark.parametrize(
    ("model", "name", "owner"),
    [
        ("sbcformer_xs", "pretrained", "sbcformer_xs"),
        ("efficientvit_b0_det", "pretrained", "efficientvit_b0"),
        ("efficientvit_b0_det", "aquarium", "efficientvit_b0_det"),
    ],
)
def test_what_bundled_weights_were_trained_on_is_read_for_the_split_as_of_a_file(
    model: str, name: str, owner: str
) -> None:
    entry = find_weights(get_spec(owner), name)
    assert entry is not None
    assert initial_file(get_spec(model), name) == bundled_path(entry)


@pytest.mark.parametrize(("weights", "file"), [("mine.pt", "mine.pt"), ("random", None), ("imagenet", None)])
def test_files_are_read_for_the_split_and_downloads_are_not_begun_for_it(weights: str, file: str | None) -> None:
    assert initial_file(get_spec("efficientvit_b0"), weights) == (file and Path(file))
