"""EfficientViT's linear attention: one function in two orders of multiplication."""

import pytest
import torch

from edgevit.models import create_model
from edgevit.models.efficientvit import LinearAttention


def _by_definition(qkv: torch.Tensor, eps: float) -> torch.Tensor:
    """Compute sum_n v_n (k_n . q) / (sum_n (k_n . q) + eps) one query at a time."""
    q, k, v = qkv.chunk(3, dim=2)
    q, k = q.relu(), k.relu()
    columns = []
    for i in range(qkv.shape[3]):
        weights = (k * q[..., i : i + 1]).sum(dim=2, keepdim=True)  # (B, heads, 1, N)
        columns.append((v * weights).sum(dim=3) / (weights.sum(dim=3) + eps))
    return torch.stack(columns, dim=3)


@pytest.mark.parametrize("tokens", [1, 8, 9, 49])
def test_both_branches_are_the_same_function(tokens: int) -> None:
    torch.manual_seed(0)
    qkv = torch.randn(2, 3, 24, tokens, dtype=torch.float64)  # dim 8: quadratic up to 8 tokens, linear above
    assert torch.allclose(LinearAttention()(qkv), _by_definition(qkv, 1e-15), atol=1e-12)


@pytest.mark.parametrize("tokens", [4, 49])
def test_eps_is_an_attribute_that_can_be_raised(tokens: int) -> None:
    torch.manual_seed(0)
    core, qkv = LinearAttention(), torch.randn(1, 2, 24, tokens, dtype=torch.float64)
    assert core.eps == 1e-15
    core.eps = 0.5
    assert torch.allclose(core(qkv), _by_definition(qkv, 0.5), atol=1e-12)


@pytest.mark.parametrize("tokens", [4, 49])
@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_export_form_answers_alike_even_for_tiny_sums(tokens: int, scale: float) -> None:
    """Products of 1e-8: an epsilon of 1e-6, which was added once, would scale these answers by a hundredth."""
    torch.manual_seed(0)
    core, qkv = LinearAttention(), torch.randn(1, 2, 24, tokens)
    qkv[:, :, :16] *= scale
    expected = core(qkv)
    core.take_export_form()
    assert torch.allclose(core(qkv), expected, rtol=1e-5)
    qkv[:, :, :8] = -1.0
    assert torch.equal(core(qkv), torch.zeros(1, 2, 8, tokens))


def test_query_that_matches_nothing_gives_zero_not_nan() -> None:
    qkv = torch.ones(1, 1, 24, 49)
    qkv[:, :, :8] = -1.0
    assert torch.equal(LinearAttention()(qkv), torch.zeros(1, 1, 8, 49))


@pytest.mark.parametrize("size", [(32, 32), (128, 128), (96, 160), (256, 256)])
def test_any_multiple_of_32_gives_logits(size: tuple[int, int]) -> None:
    model = create_model("efficientvit_b0", 5).eval()
    with torch.inference_mode():
        logits = model(torch.randn(2, 3, *size))
    assert logits.shape == (2, 5)
    assert torch.isfinite(logits).all()


def test_bfloat16_autocast_keeps_the_division_in_float32() -> None:
    torch.manual_seed(0)
    model, x = create_model("efficientvit_b0", 5).eval(), torch.randn(1, 3, 96, 96)
    seen: list[torch.dtype] = []
    for module in model.modules():
        if isinstance(module, LinearAttention):
            module.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        logits = model(x)
    assert set(seen) == {torch.float32}
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(("name", "eps"), [("efficientvit_b0", 1e-5), ("efficientvit_l1", 1e-7)])
def test_norms_have_the_series_own_eps(name: str, eps: float) -> None:
    with torch.device("meta"):
        model = create_model(name)
    found = {m.eps for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d | torch.nn.LayerNorm)}
    assert found == {eps}
