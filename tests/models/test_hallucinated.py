"""Hallucinated attention and compact FFN: the formulas, the published totals, and what plain weights bring along."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import nn

from edgevit.errors import CheckpointError
from edgevit.models import create_model, list_models
from edgevit.models.compact_ffn import CompactProduct, bottleneck_width, merge_branches
from edgevit.models.hallucinated import Hallucination, attend, even_heads, shared_weights
from edgevit.models.layers import prepare_for_export
from edgevit.models.zoo.registry import get_spec
from edgevit.training.initialize import load_initial

TWINS = [name for name in list_models() if get_spec(name).plain]
PUBLISHED = {"pvt_v2_b1": (13.2, 15.2), "nextvit_small": (13.9, 11.5)}
"""Reduction of parameters and of operations in percent, arXiv 2306.10875."""


def _disturb(model: nn.Module) -> None:
    """Give every BatchNorm statistics and scales that change each channel."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)


@pytest.mark.parametrize("exported", [False, True])
@pytest.mark.parametrize("class_token", [False, True])
def test_maps_are_those_of_the_formula(class_token: bool, exported: bool) -> None:
    torch.manual_seed(0)
    heads, (h, w), n, d = 3, (2, 4), 5, 6
    made = Hallucination(heads, d).double()
    for conv in (made.intra, made.cross):
        nn.init.normal_(conv.weight)
    if exported:
        made.take_export_form()
    q = torch.randn(2, heads, n, d, dtype=torch.float64)
    k = torch.randn(2, heads, h * w + class_token, d, dtype=torch.float64)
    scores = torch.cat(made(q, k, (h, w)), dim=1)
    real = q @ k.transpose(2, 3)
    assert torch.allclose(scores[:, :heads], real, atol=1e-12)
    mixing = made.cross.weight[:, :, 0, 0]
    for b in range(2):
        for query in range(n):
            image = real[b, :, query, int(class_token) :].reshape(heads, h, w)
            smoothed = torch.stack(
                [F.conv2d(image[i, None], made.intra.weight[i, None], padding=1)[0] for i in range(3)]
            )
            expected = torch.einsum("oi,ihw->ohw", mixing, smoothed).flatten(1)
            if class_token:
                centres = real[b, :, query, 0] * made.intra.weight[:, 0, 1, 1]
                expected = torch.cat(((mixing @ centres)[:, None], expected), dim=1)
            assert torch.allclose(scores[b, heads:, query], expected, atol=1e-12)


def test_maps_begin_near_the_real_ones() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(1, 4, 9, 8), torch.randn(1, 4, 9, 8)
    real, made = Hallucination(4, 8)(q, k, (3, 3))
    assert (real - made).abs().mean() < 0.2 * real.abs().mean()


def test_all_heads_maps_weight_their_own_values() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 6, 4), torch.randn(2, 6, 6, 4)
    maps = Hallucination(3, 4)
    weighted = attend(q, k, v, scale=0.5, maps=maps, grid=(2, 3))
    scores = torch.cat(maps(q, k, (2, 3)), dim=1)
    expected = torch.einsum("bhnm,bhmd->bnhd", (0.5 * scores).softmax(dim=-1), v).reshape(2, 5, 24)
    assert torch.allclose(weighted, expected, atol=1e-6)
    alone = attend(q, k, v[:, :3], grid=(2, 3))
    assert torch.allclose(
        alone, torch.einsum("bhnm,bhmd->bnhd", (q @ k.mT).softmax(dim=-1), v[:, :3]).reshape(2, 5, 12), atol=1e-6
    )


def test_odd_numbers_of_heads_are_doubled() -> None:
    assert [even_heads(heads) for heads in (1, 2, 3, 5, 8)] == [2, 2, 6, 10, 8]


def test_bottleneck_is_two_thirds_of_the_width_that_would_cost_the_same() -> None:
    # m = 4, C = 192: m C / (m + 1) = 153.6, two thirds of it 102.4, in fours 104
    assert bottleneck_width(768, 192) == 104
    # m = 3, C = 96: 72 and 48
    assert bottleneck_width(288, 96) == 48
    assert bottleneck_width(8, 2) == 4


@pytest.mark.parametrize(("tokens", "shape"), [(True, (2, 5, 24)), (False, (2, 24, 3, 4))])
def test_merging_the_branches_changes_nothing(tokens: bool, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    product = CompactProduct(24, 8, tokens=tokens).double()
    _disturb(product)
    x = torch.randn(shape, dtype=torch.float64)
    product.eval()
    before = product(x)
    merge_branches(product)
    assert (product(x) - before).abs().max() < 1e-13
    width = bottleneck_width(24, 8)
    assert sum(p.numel() for p in product.parameters()) == 24 * width + width + width * 8 + 8


def test_merging_in_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"call model.eval\(\) first"):
        merge_branches(CompactProduct(24, 8, tokens=True))


@pytest.mark.parametrize("name", [name for name in TWINS if "small_patch" not in name])
def test_export_form_gives_the_same_logits(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, 5).double()
    _disturb(model)
    model.eval()
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.inference_mode():
        before = model(x)
        prepare_for_export(model)
        assert (model(x) - before).abs().max() < 1e-10 * (1 + before.abs().max())
    assert not [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize("name", TWINS)
def test_totals_are_the_published_ones(name: str) -> None:
    twin = get_spec(name)
    plain = get_spec(twin.plain)
    parameters = 100 * (1 - twin.parameters / plain.parameters)
    operations = 100 * (1 - twin.macs / plain.macs)
    expected = PUBLISHED.get(plain.name)
    if expected is None:
        assert 10 < parameters < 20
        assert 10 < operations < 20
    else:
        assert parameters == pytest.approx(expected[0], abs=0.5)
        assert operations == pytest.approx(expected[1], abs=0.5)


def test_real_heads_take_over_the_first_half_of_the_plain_ones() -> None:
    torch.manual_seed(0)
    plain, twin = create_model("deit_small_patch16_224", 3), create_model("deit_small_patch16_224_hmhsa", 3)
    state = plain.state_dict()
    own = twin.state_dict()
    twin.load_state_dict(own | shared_weights(twin, state))
    rows = twin.state_dict()["blocks.3.attn.qkv.weight"]
    q, k, v = state["blocks.3.attn.qkv.weight"].chunk(3)
    assert torch.equal(rows, torch.cat((q[:192], k[:192], v)))
    for key in ("pos_embed", "blocks.3.mlp.fc1.weight", "blocks.3.attn.proj.bias", "head.weight"):
        assert torch.equal(twin.state_dict()[key], state[key])


def test_split_heads_keep_their_own_queries_and_keys() -> None:
    torch.manual_seed(0)
    plain, twin = create_model("pvt_v2_b1", 3).state_dict(), create_model("pvt_v2_b1_hmhsa", 3)
    own = {key: value.clone() for key, value in twin.state_dict().items()}
    taken = shared_weights(twin, plain)
    one_head, eight = "block1.0.attn.kv.weight", "block4.0.attn.kv.weight"
    assert torch.equal(taken[one_head], torch.cat((own[one_head][:32], plain[one_head][64:])))
    assert torch.equal(taken[eight], torch.cat((plain[eight][:256], plain[eight][512:])))
    assert torch.equal(taken["block4.0.attn.q.bias"], plain["block4.0.attn.q.bias"][:256])
    assert torch.equal(taken["block1.0.attn.q.bias"], own["block1.0.attn.q.bias"])


def test_training_of_a_twin_starts_from_plain_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    name, plain = "deit_tiny_patch16_224_hmhsa", create_model("deit_tiny_patch16_224", 4)
    torch.save({"model": plain.state_dict()}, tmp_path / "plain.pth")
    model = create_model(name, 2)
    said = load_initial(model, get_spec(name), str(tmp_path / "plain.pth"), ["fox", "hen"])
    assert said == (
        "the weights that deit_tiny_patch16_224_hmhsa has in common with deit_tiny_patch16_224, of plain.pth but the "
        "classifier, which starts anew (4 classes there, 2 here)"
    )
    assert torch.equal(model.state_dict()["blocks.11.mlp.fc1.weight"], plain.state_dict()["blocks.11.mlp.fc1.weight"])
    torch.save(model.state_dict(), tmp_path / "twin.pth")
    assert load_initial(create_model(name, 2), get_spec(name), str(tmp_path / "twin.pth"), ["fox", "hen"]) == (
        "all weights of twin.pth"
    )


def test_twin_does_not_start_from_another_family(tmp_path: Path) -> None:
    torch.save(create_model("sbcformer_xs", 2).state_dict(), tmp_path / "other.pth")
    name = "deit_tiny_patch16_224_hmhsa"
    with pytest.raises(CheckpointError, match="its layers are those of sbcformer_xs"):
        load_initial(create_model(name, 2), get_spec(name), str(tmp_path / "other.pth"), ["fox", "hen"])
