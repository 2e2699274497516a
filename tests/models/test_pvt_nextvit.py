"""PVTv2 and Next-ViT: names of other publishers, other input sizes."""

import json

import pytest
import torch

from edgevit.models import create_model
from edgevit.models.nextvit import RunMean
from edgevit.models.nextvit import canonical_keys as nextvit_keys
from edgevit.models.pvt import canonical_keys as pvt_keys
from edgevit.models.weights.load import load_state
from edgevit.models.zoo.registry import get_spec
from tests.places import SHARED

KEYS = SHARED / "keys"

TIMM_PVT = {
    "patch_embed.proj.weight": "patch_embed1.proj.weight",
    "stages.0.norm.bias": "norm1.bias",
    "stages.1.downsample.norm.weight": "patch_embed2.norm.weight",
    "stages.3.blocks.1.mlp.dwconv.weight": "block4.1.mlp.dwconv.dwconv.weight",
    "stages.2.blocks.0.attn.kv.bias": "block3.0.attn.kv.bias",
    "head.weight": "head.weight",
}
TIMM_NEXTVIT = {
    "stem.3.norm.weight": "stem.3.norm.weight",
    "stages.1.blocks.3.e_mhsa.q.weight": "features.6.e_mhsa.q.weight",
    "stages.2.blocks.9.mlp.fc1.bias": "features.16.mlp.conv1.bias",
    "stages.3.blocks.2.mlp.fc2.weight": "features.19.mlp.conv2.weight",
    "norm.running_mean": "norm.running_mean",
    "head.fc.weight": "proj_head.0.weight",
}


def test_timm_names_become_official_ones() -> None:
    for names, rename in ((TIMM_PVT, pvt_keys), (TIMM_NEXTVIT, nextvit_keys)):
        assert list(rename(dict.fromkeys(names, torch.ones(1)))) == list(names.values())


@pytest.mark.parametrize("name", ["pvt_v2_b1", "nextvit_small"])
def test_timm_rules_agree_with_the_official_map(name: str) -> None:
    path = KEYS / f"_timm_to_official_{name}.json"
    if not path.is_file():
        pytest.skip("the map between timm's and the official names is not beside this checkout")
    names: dict[str, str] = json.loads(path.read_text())
    rename = {"pvt_v2_b1": pvt_keys, "nextvit_small": nextvit_keys}[name]
    assert list(rename(dict.fromkeys(names, torch.ones(1)))) == list(names.values())
    assert list(rename(dict.fromkeys(names.values(), torch.ones(1)))) == list(names.values())


def test_weights_under_timm_names_load() -> None:
    torch.manual_seed(0)
    state = create_model("pvt_v2_b1", 3).state_dict()
    timm = {
        key.replace("patch_embed1.", "patch_embed.", 1).replace(".dwconv.dwconv.", ".dwconv."): value
        for key, value in state.items()
    }
    model = create_model("pvt_v2_b1", 3)
    timm = {f"stages.{int(k[5]) - 1}.blocks.{k[7:]}" if k.startswith("block") else k: v for k, v in timm.items()}
    load_state(model, get_spec("pvt_v2_b1"), timm, "timm.pt")
    assert torch.equal(model.state_dict()["block2.1.attn.q.weight"], state["block2.1.attn.q.weight"])


@pytest.mark.parametrize("name", ["pvt_v2_b1", "pvt_v2_b1_hmhsa", "nextvit_small", "nextvit_small_hmhsa"])
def test_any_multiple_of_32_gives_logits(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, 5).eval()
    with torch.inference_mode():
        for size in ((32, 32), (64, 160)):
            logits = model(torch.zeros(2, 3, *size))
            assert logits.shape == (2, 5)
            assert torch.isfinite(logits).all()


def test_runs_are_pooled_in_row_order() -> None:
    x = torch.arange(12.0).reshape(1, 6, 2)
    pool = RunMean(3)
    expected = torch.tensor([[[2.0, 3.0], [8.0, 9.0]]])
    assert torch.equal(pool(x), expected)
    pool.take_export_form()
    assert torch.equal(pool(x), expected)
