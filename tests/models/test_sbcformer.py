"""SBCFormer beyond its official input, and its bias table."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows

from edgevit.models import create_model
from edgevit.models.layers import fold_batchnorm
from edgevit.models.sbcformer import TABLE_GRID, Attention, DepthwiseUpsample, SBCFormerBlock, offset_index


def _attention() -> Attention:
    attention = Attention(8, heads=2, key_dim=4).eval()
    table = torch.arange(49.0).expand(2, 49) + torch.tensor([[0.0], [100.0]])
    attention.attention_biases.data.copy_(table)
    return attention


@pytest.mark.parametrize("size", [(32, 32), (96, 160), (224, 224), (224, 256), (320, 64)])
def test_any_multiple_of_32_gives_logits(size: tuple[int, int]) -> None:
    model = create_model("sbcformer_xs", 5).eval()
    with torch.inference_mode():
        logits = model(torch.zeros(2, 3, *size))
    assert logits.shape == (2, 5)
    assert torch.isfinite(logits).all()


def test_offsets_are_row_major_by_distance() -> None:
    index = offset_index(2, 3)
    assert index[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert index[4].tolist() == [4, 3, 4, 1, 0, 1]
    assert torch.equal(index, index.T)


def test_bias_at_224_is_the_table_by_the_stored_index() -> None:
    attention = _attention()
    assert torch.equal(attention.attention_bias_idxs, offset_index(TABLE_GRID, TABLE_GRID))
    table = attention.attention_biases.reshape(2, 7, 7)
    bias = attention.bias((7, 7)).reshape(2, 7, 7, 7, 7)
    assert torch.equal(bias[:, 6, 6], table.flip(1, 2))
    assert torch.equal(bias[:, 3, 1, 5, 6], table[:, 2, 5])


def test_smaller_grid_takes_the_corner_of_the_table() -> None:
    bias = _attention().bias((2, 3))
    assert bias.shape == (2, 6, 6)
    assert bias[0, 0].tolist() == [0, 1, 2, 7, 8, 9]
    assert bias[1, 5].tolist() == [109, 108, 107, 102, 101, 100]


def test_larger_grid_stretches_the_table_to_the_same_ends() -> None:
    # the table 0..48 is linear in (|dy|, |dx|), and so is its stretched form: 7 |dy| * 6/12 + |dx| * 6/9
    bias = _attention().bias((13, 10))
    dy, dx = torch.arange(13.0)[:, None], torch.arange(10.0)[None]
    expected = (7 * dy * 6 / 12 + dx * 6 / 9).flatten()
    assert torch.allclose(bias[0, 0], expected, atol=1e-5)
    assert torch.allclose(bias[0, -1], expected.flip(0), atol=1e-5)


def test_grid_larger_on_one_side_only_keeps_the_other() -> None:
    bias = _attention().bias((7, 13)).reshape(2, 7, 13, 7, 13)
    assert torch.allclose(bias[0, 0, 0, :, 0], 7 * torch.arange(7.0))
    assert torch.allclose(bias[0, 0, 0, 0], torch.arange(13.0) / 2, atol=1e-6)


def test_attention_is_that_of_the_formula() -> None:
    torch.manual_seed(0)
    attention = _attention().double()
    x = torch.randn(1, 6, 8, dtype=torch.float64)
    image = x.transpose(1, 2).reshape(1, 8, 2, 3)
    q, k, v = torch.split(attention.pwconv(image), [8, 8, 16], dim=1)
    v = v + F.gelu(attention.dwconv(v))
    heads = []
    for head in range(2):
        queries, keys = q[0, 4 * head : 4 * head + 4].flatten(1), k[0, 4 * head : 4 * head + 4].flatten(1)
        weights = (queries.T @ keys / 2 + attention.bias((2, 3))[head]).softmax(dim=1)
        heads.append(weights @ v[0, 8 * head : 8 * head + 8].flatten(1).T)
    expected = attention.proj_out(torch.cat(heads, dim=1))
    assert torch.allclose(attention(x, (2, 3))[0], expected, atol=1e-12)


@pytest.mark.parametrize("ratio", [2, 4])
def test_upsampling_equals_the_transposed_convolution(ratio: int) -> None:
    torch.manual_seed(0)
    upsample = DepthwiseUpsample(5, ratio).double()
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    expected = F.conv_transpose2d(x, upsample.weight, upsample.bias, stride=ratio, groups=5)
    assert torch.allclose(upsample(x), expected, atol=1e-14)


def test_stochastic_depth_is_off_outside_training() -> None:
    torch.manual_seed(0)
    model = create_model("sbcformer_xs", 4, drop_path=0.5)
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert not torch.equal(model(x), model(x))
        model.eval()
        assert torch.equal(model(x), model(x))


@pytest.mark.parametrize("ratio", [2, 1])
@torch.no_grad()
def test_bias_of_the_upsampling_moves_into_the_layers_that_read_it(ratio: int) -> None:
    block = SBCFormerBlock(6, heads=1, key_dim=4, ratio=ratio, invres_ratio=2, depths=(1, 1, 1)).eval()
    fold_batchnorm(block)
    if ratio > 1:
        block.get_parameter("convTrans.bias").copy_(torch.arange(6.0) - 2)
    image = torch.rand(1, 6, 8, 12)
    before = block(image)
    block.take_export_form()
    assert getattr(block.convTrans, "bias", None) is None
    torch.testing.assert_close(block(image), before, rtol=1e-4, atol=1e-5)
