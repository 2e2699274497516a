"""State dicts under every known name fit; those that do not are refused with the likely cause."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from edgevit.errors import CheckpointError
from edgevit.models import create_model
from edgevit.models.efficientvit import canonical_keys as efficientvit_keys
from edgevit.models.sbcformer import canonical_keys as sbcformer_keys
from edgevit.models.weights.checkpoint import read_state_dict
from edgevit.models.weights.load import canonical_state, infer_num_classes, load_state
from edgevit.models.zoo.registry import get_spec
from tests.places import SHARED

State = dict[str, Tensor]
KEYS = SHARED / "keys"

TIMM_B0 = {
    "stem.in_conv.conv.weight": "backbone.input_stem.op_list.0.conv.weight",
    "stem.res0.main.depth_conv.norm.bias": "backbone.input_stem.op_list.1.main.depth_conv.norm.bias",
    "stages.2.blocks.1.context_module.main.aggreg.0.1.weight": (
        "backbone.stages.2.op_list.1.context_module.main.aggreg.0.1.weight"
    ),
    "head.in_conv.norm.running_var": "head.op_list.0.norm.running_var",
    "head.classifier.0.weight": "head.op_list.2.linear.weight",
    "head.classifier.1.bias": "head.op_list.2.norm.bias",
    "head.classifier.4.weight": "head.op_list.3.linear.weight",
}
TIMM_L1 = {
    "stem.in_conv.conv.weight": "backbone.stages.0.op_list.0.conv.weight",
    "stem.res0.main.conv1.conv.weight": "backbone.stages.0.op_list.1.main.conv1.conv.weight",
    "stages.0.blocks.1.main.spatial_conv.conv.weight": "backbone.stages.1.op_list.1.main.spatial_conv.conv.weight",
}


def _model(name: str, classes: int = 3) -> nn.Module:
    torch.manual_seed(5)
    model = create_model(name, classes).eval()
    for key, value in model.state_dict().items():
        if key.endswith(("running_mean", "attention_biases")):
            value.normal_(0, 0.1)
    return model


def _fits(name: str, state: State) -> bool:
    """Whether the state dict loads into another model of this name and then gives the original's logits."""
    model = create_model(name, 3).eval()
    load_state(model, get_spec(name), state, "file")
    x = torch.linspace(-1, 1, 2 * 3 * 64 * 64).reshape(2, 3, 64, 64)
    with torch.inference_mode():
        return torch.equal(model(x), _model(name)(x))


def _refusal(name: str, state: State, classes: int = 3) -> str:
    model = create_model(name, classes)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_state(model, get_spec(name), state, "mine.pt")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert str(caught.value).startswith("mine.pt")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _with_official_aliases(state: State) -> State:
    """Add the parts that the official SBCFormer registers twice, under both names."""
    doubled = {key.replace("merging_blocks.0.", "patch_embed."): value for key, value in state.items()}
    doubled |= {key.replace("sbcformer_blocks.2.", "sbcformer_blk."): value for key, value in state.items()}
    return doubled | state


def _slendervit(state: State) -> State:
    """Name the layers as the official repository did in November 2023."""
    names = {
        "sbcformer_blocks.": "slendervit_blocks.",
        "invres_blocks.InvRes_": "mv2_blocks.mv2_",
        "mixer.Mixer_": "mixer.proj_",
        "trans_blocks.MAttn_": "trans_blocks.mobile_trans_",
    }
    renamed = {}
    for key, value in state.items():
        for new, old in names.items():
            key = key.replace(new, old)
        renamed[key] = value
    return renamed


def _prefixed(*prefixes: str) -> Callable[[State], State]:
    return lambda state: {"".join(prefixes) + key: value for key, value in state.items()}


@pytest.mark.parametrize(
    "rename",
    [
        dict,
        _with_official_aliases,
        _slendervit,
        lambda state: _slendervit(_with_official_aliases(state)),
        _prefixed("module."),
        _prefixed("_orig_mod."),
        _prefixed("module.", "_orig_mod."),
        _prefixed("model."),
        _prefixed("backbone."),
        lambda state: {key if key.startswith("head.") else f"backbone.{key}": state[key] for key in state},
    ],
)
def test_sbcformer_fits_under_every_known_name(rename: Callable[[State], State]) -> None:
    assert _fits("sbcformer_xs", rename(_model("sbcformer_xs").state_dict()))


@pytest.mark.parametrize("prefixes", [(), ("module.",), ("_orig_mod.", "module."), ("model.",), ("backbone.",)])
def test_efficientvit_keeps_the_prefix_that_is_its_own(prefixes: tuple[str, ...]) -> None:
    assert _fits("efficientvit_b0", _prefixed(*prefixes)(_model("efficientvit_b0").state_dict()))


def test_a_run_with_a_teacher_is_read_without_the_layer_that_foretells_its_answers() -> None:
    own = create_model("efficientvit_b0", num_classes=3).state_dict()
    taught = {f"student.{key}": value for key, value in own.items()} | {"guess.weight": torch.zeros(7, 1280)}
    found = canonical_state(get_spec("efficientvit_b0"), taught)
    assert found.keys() == own.keys()
    assert all(found[key] is own[key] for key in own)


def test_only_aliases_are_enough() -> None:
    state = {
        key.replace("merging_blocks.0.", "patch_embed.").replace("sbcformer_blocks.2.", "sbcformer_blk."): value
        for key, value in _model("sbcformer_xs").state_dict().items()
    }
    assert _fits("sbcformer_xs", state)


@pytest.mark.parametrize("names", [TIMM_B0, TIMM_L1])
def test_timm_names_become_official_ones(names: dict[str, str]) -> None:
    state = dict.fromkeys(names, torch.ones(1))
    assert list(efficientvit_keys(state)) == list(names.values())


@pytest.mark.parametrize("variant", ["b0", "b1", "b2", "b3", "l1", "l2", "l3"])
def test_timm_rules_agree_with_the_official_map(variant: str) -> None:
    path = KEYS / f"_timm_to_official_efficientvit_{variant}.json"
    if not path.is_file():
        pytest.skip("the map between timm's and the official names is not beside this checkout")
    names: dict[str, str] = json.loads(path.read_text())
    assert list(efficientvit_keys(dict.fromkeys(names, torch.ones(1)))) == list(names.values())


@pytest.mark.parametrize("variant", ["b0", "l1"])
def test_weights_under_timm_names_give_the_same_logits(variant: str) -> None:
    path = KEYS / f"_timm_to_official_efficientvit_{variant}.json"
    if not path.is_file():
        pytest.skip("the map between timm's and the official names is not beside this checkout")
    official = _model(f"efficientvit_{variant}").state_dict()
    assert _fits(f"efficientvit_{variant}", {timm: official[key] for timm, key in json.loads(path.read_text()).items()})


def test_official_names_are_left_alone() -> None:
    for name, rename in (("sbcformer_s", sbcformer_keys), ("efficientvit_b1", efficientvit_keys)):
        with torch.device("meta"):
            state = create_model(name).state_dict()
        assert list(rename(state)) == list(state)


def test_names_of_an_older_architecture_are_pointed_out(caplog: pytest.LogCaptureFixture) -> None:
    state = _model("sbcformer_xs").state_dict()
    load_state(create_model("sbcformer_xs", 3), get_spec("sbcformer_xs"), state, "new.pt")
    assert not caplog.records
    load_state(create_model("sbcformer_xs", 3), get_spec("sbcformer_xs"), _slendervit(state), "old.pt")
    assert "old.pt: its names are those of November 2023" in caplog.text


def test_half_precision_file_becomes_float32(tmp_path: Path) -> None:
    spec, original = get_spec("sbcformer_xs"), _model("sbcformer_xs")
    state = {key: value.half() if value.is_floating_point() else value for key, value in original.state_dict().items()}
    save_file(state, tmp_path / "half.safetensors")
    model = create_model("sbcformer_xs", 3)
    load_state(model, spec, read_state_dict(tmp_path / "half.safetensors"), "half.safetensors")
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.equal(model.state_dict()["head.weight"], original.state_dict()["head.weight"].half().float())


def test_loading_after_eval_leaves_no_stale_bias() -> None:
    model = create_model("sbcformer_xs", 3).eval()
    x = torch.linspace(-1, 1, 3 * 224 * 224).reshape(1, 3, 224, 224)
    with torch.inference_mode():
        model(x)
        load_state(model, get_spec("sbcformer_xs"), _model("sbcformer_xs").state_dict(), "file")
        assert torch.equal(model(x), _model("sbcformer_xs")(x))


def test_counters_and_indices_may_be_left_out() -> None:
    state = {
        key: value
        for key, value in _model("sbcformer_xs").state_dict().items()
        if not key.endswith(("num_batches_tracked", "attention_bias_idxs"))
    }
    assert _fits("sbcformer_xs", state)


@pytest.mark.parametrize("name", ["sbcformer_xs", "efficientvit_b0"])
def test_classes_are_counted_from_the_head(name: str) -> None:
    assert infer_num_classes(get_spec(name), _prefixed("module.")(_model(name, 17).state_dict())) == 17


def test_classes_cannot_be_counted_without_a_head() -> None:
    state = {key: value for key, value in _model("sbcformer_xs").state_dict().items() if not key.startswith("head.")}
    with pytest.raises(CheckpointError, match=r"^mine.pt has no classifier head.weight of sbcformer_xs: "):
        infer_num_classes(get_spec("sbcformer_xs"), state, "mine.pt")


@pytest.mark.parametrize("asked", ["sbcformer_xs", "efficientvit_b0", "efficientvit_l1"])
@pytest.mark.parametrize("found", ["sbcformer_s", "efficientvit_b1"])
def test_wrong_variant_is_named(asked: str, found: str) -> None:
    message = _refusal(asked, _prefixed("module.")(_model(found).state_dict()))
    assert f"does not fit {asked}: its layers are those of {found}; name that model" in message


def test_wrong_class_count_is_named() -> None:
    message = _refusal("sbcformer_xs", _model("sbcformer_xs", 10).state_dict(), classes=1000)
    assert message == (
        "mine.pt has 10 classes, but sbcformer_xs was built for 1,000; pass num_classes=10, or leave it out"
    )


def test_missing_and_unexpected_keys_are_named_with_the_likely_cause() -> None:
    state = _model("sbcformer_xs").state_dict()
    body = {key: value for key, value in state.items() if not key.startswith("head.")}
    assert "missing head.weight, head.bias; likely cause: no classifier" in _refusal("sbcformer_xs", body)
    part = {key: value for key, value in state.items() if not key.startswith("sbcformer_blocks.1")}
    message = _refusal("sbcformer_xs", part)
    assert "missing sbcformer_blocks.1." in message
    assert message.endswith("more; likely cause: only a part of the weights was saved")
    extra = state | {"head2.weight": torch.ones(1)}
    assert "unexpected head2.weight; likely cause: a changed or newer version" in _refusal("sbcformer_xs", extra)
    wrong = state | {"norm.weight": torch.ones(5)}
    assert "norm.weight is (5,), not (288,); likely cause: a changed" in _refusal("sbcformer_xs", wrong)
    other = {f"layer{i}.weight": torch.ones(1) for i in range(9)}
    message = _refusal("sbcformer_xs", other)
    assert "unexpected layer0.weight, layer1.weight, layer2.weight and 6 more" in message
    assert message.endswith("no layer has a known name: another architecture")


def test_quantized_weights_are_refused() -> None:
    state = _model("sbcformer_xs").state_dict()
    state["norm.weight"] = torch.ones(288, dtype=torch.int8)
    assert "norm.weight is int8, expected float; give the weights before" in _refusal("sbcformer_xs", state)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    state = _model("sbcformer_xs").state_dict()
    state["norm.weight"] = torch.full((288,), value)
    assert "norm.weight holds NaN or infinity" in _refusal("sbcformer_xs", state)


def test_canonical_state_of_a_strange_dict_is_itself() -> None:
    state = {"backbone.conv1.weight": torch.ones(1)}
    assert canonical_state(get_spec("sbcformer_xs"), state) == state


@pytest.mark.parametrize(
    ("names", "cause"),
    [
        (["patch_embed.0.c.weight", "blocks1.0.dw0.m.c.weight"], "Microsoft's EfficientViT, another model of the same"),
        (["dist_token", "head_dist.weight", "blocks.0.attn.qkv.weight"], "a distilled DeiT"),
        (["features.0.0.weight", "features.1.conv.0.0.weight"], "a MobileNet or EfficientNet of torchvision"),
        (["conv_stem.weight", "blocks.0.0.conv_dw.weight"], "a MobileNet or EfficientNet of timm"),
        (["layer1.0.conv1.weight", "layer2.0.conv1.weight"], "a ResNet"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_weights_of_a_known_other_architecture_are_named(names: list[str], cause: str) -> None:
    message = _refusal("efficientvit_b0", {name: torch.zeros(4, 4) for name in names})
    assert f"likely cause: {cause}" in message


def test_tables_of_another_size_are_named() -> None:
    state = {key: value.clone() for key, value in _model("sbcformer_xs").state_dict().items()}
    for key in [key for key in state if key.endswith("attention_biases")]:
        state[key] = torch.zeros(3, 81)
    assert "weights for another size of the input or of its attention windows" in _refusal("sbcformer_xs", state)
