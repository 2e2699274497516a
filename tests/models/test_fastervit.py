"""FasterViT's own parts: windows, carrier tokens, position biases for any size, and files for other sizes."""

import logging
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from edgevit.errors import CheckpointError, OptionError
from edgevit.models import create_model
from edgevit.models.fastervit_attention import (
    CARRIERS,
    Attention,
    HierarchicalBlock,
    from_windows,
    nearest_carriers,
    to_windows,
)
from edgevit.models.fastervit_position import AttentionBias, PositionEmbedding, offset_coordinates, offset_index
from edgevit.models.weights.load import DERIVED, fitting_models, load_state
from edgevit.models.zoo.registry import check_input_size, get_spec, size_note

ANY = "faster_vit_0_any_res"


def test_windows_are_cut_row_by_row_and_put_together_again() -> None:
    image = torch.arange(2 * 4 * 6).reshape(2, 4, 6, 1)
    windows = to_windows(image, 2)
    assert windows.shape == (2 * 2 * 3, 4, 1)
    assert windows[:, :, 0].tolist()[:4] == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11], [12, 13, 18, 19]]
    assert torch.equal(from_windows(windows, 2, (2, 3)), image)


def test_offsets_are_log_spaced_as_in_swin_v2() -> None:
    """Sides of 3 have offsets -2..2, scaled to -8, -4, 0, 4, 8: log2(9) / 3 and log2(5) / 3."""
    table = offset_coordinates(3)
    steps = [-math.log2(9) / 3, -math.log2(5) / 3, 0, math.log2(5) / 3, math.log2(9) / 3]
    np.testing.assert_allclose(table[0, :, 2, 0], steps, rtol=1e-6)
    np.testing.assert_allclose(table[0, 2, :, 1], steps, rtol=1e-6)


def test_pairs_with_the_same_offset_share_a_bias() -> None:
    """Cells of a 2x2 square are (0, 0), (0, 1), (1, 0), (1, 1); their offsets make a 3x3 table, row by row."""
    assert offset_index(2).tolist() == [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]


def test_tokens_before_the_square_have_no_bias() -> None:
    bias = AttentionBias(heads=3, tokens=7, side=2).value(7)
    assert bias.shape == (1, 3, 7, 7)
    assert not bias[:, :, :3].any()
    assert not bias[:, :, :, :3].any()
    assert bool(((bias[:, :, 3:, 3:] > 0) & (bias[:, :, 3:, 3:] < 16)).all())
    torch.testing.assert_close(bias[0, :, 3, 3], bias[0, :, 6, 6])  # rows of one product, which may round differently


def test_bias_for_another_size_is_computed_anew() -> None:
    torch.manual_seed(0)
    built, other = AttentionBias(2, 16), AttentionBias(2, 36)
    other.load_state_dict(
        {key: value for key, value in built.state_dict().items() if "cpb" in key} | constants(other), strict=True
    )
    assert torch.equal(built.value(36), other.value(36))


def constants(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {key: value for key, value in module.state_dict().items() if f".{key}".endswith(DERIVED)}


def test_exported_bias_is_a_constant_of_the_first_size() -> None:
    embedding = PositionEmbedding(8, 49).eval()
    x = torch.randn(1, 49, 8)
    before = embedding(x)
    embedding.take_export_form()
    with torch.inference_mode():
        assert torch.equal(embedding(x), before)
    assert not embedding.relative_bias.is_inference()
    for parameter in embedding.parameters():
        torch.nn.init.zeros_(parameter)
    assert torch.equal(embedding(x), before)


def test_scale_folded_at_export_leaves_the_output() -> None:
    torch.manual_seed(0)
    attention, x = Attention(32, 4, 53, 7).double(), torch.randn(2, 53, 32, dtype=torch.float64)
    before = attention(x)
    attention.take_export_form()
    assert attention.scale == 1.0
    assert (attention(x) - before).abs().max().item() < 1e-12


def test_carrier_token_lies_over_its_quarter_of_the_window() -> None:
    """Nearest neighbour from 2 to 7: cells 0..3 take the first, 4..6 the second."""
    rows = nearest_carriers(7).reshape(7, 7).tolist()
    assert rows == [[0] * 4 + [1] * 3] * 4 + [[2] * 4 + [3] * 3] * 3


def test_carriers_are_given_back_to_their_windows_by_the_last_block() -> None:
    """With all branches at zero a block adds gamma1 times the carrier token, and nothing else."""
    block = HierarchicalBlock(8, 2, 7, grid=(1, 2), scaled=True, propagates=True).eval()
    with torch.no_grad():
        for name, parameter in block.named_parameters():
            parameter.fill_(0.5 if name == "gamma1" else 0.0)
        carriers = torch.arange(2.0 * CARRIERS).reshape(2, CARRIERS, 1).expand(2, CARRIERS, 8)
        x, after = block(torch.zeros(2, 49, 8), carriers, (1, 2))
    assert after is not None
    assert torch.equal(x[:, 0], 0.5 * after[:, 0])
    assert torch.equal(x[:, 48], 0.5 * after[:, 3])


def test_carriers_of_a_square_grid_keep_their_places() -> None:
    block = HierarchicalBlock(4, 2, 7, grid=(3, 3)).eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.zero_()
        carriers = torch.randn(2 * 9, CARRIERS, 4)
        _, after = block(torch.zeros(2 * 9, 49, 4), carriers, (3, 3))
    assert after is not None
    assert torch.equal(after, carriers)


def test_any_resolution_is_the_square_model_at_224() -> None:
    torch.manual_seed(0)
    square, free = create_model("faster_vit_0_224", 5).eval(), create_model(ANY, 5, (224, 224)).eval()
    load_state(free, get_spec(ANY), square.state_dict(), "square.pt")
    x = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        assert torch.equal(free(x), square(x))


def test_file_for_another_size_is_read_without_what_this_one_cannot_use(caplog: pytest.LogCaptureFixture) -> None:
    """From a pre-trainer's file for 224 pixels, under `encoder.`, to 2 x 3 windows, which have no square to embed."""
    torch.manual_seed(0)
    state = create_model("faster_vit_0_224", 5).state_dict()
    name = "levels.2.global_tokenizer.pos_embed.weight"
    alias = name.replace("pos_embed", "to_global_feature.pos")
    file = {f"encoder.{key}": value for key, value in state.items()} | {f"encoder.{alias}": state[name]}
    file["decoder.weight"] = torch.zeros(3)
    model = create_model(ANY, 5, (128, 256)).eval()
    with caplog.at_level(logging.WARNING):
        load_state(model, get_spec(ANY), file, "file.pt")
    assert "file.pt: left out levels.2.blocks.0.hat_pos_embed.cpb_mlp.0.weight" in caplog.text
    assert torch.equal(model.state_dict()[name], state[name])
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 128, 256)).shape == (1, 5)


def test_file_that_lacks_weights_for_this_size_is_refused() -> None:
    """At 64 pixels there is one window, so that nothing is exchanged."""
    with torch.device("meta"):
        state = {key: torch.zeros(value.shape) for key, value in create_model(ANY, 5, (64, 64)).state_dict().items()}
        model = create_model(ANY, 5, (128, 256))
    with pytest.raises(
        CheckpointError, match=r"missing levels\.2\.blocks\.0\.hat_norm1.*weights for another input size"
    ):
        load_state(model, get_spec(ANY), state, "small.pt")


def test_stale_constants_of_a_file_are_ignored() -> None:
    torch.manual_seed(0)
    model, spec = create_model("faster_vit_0_224", 5).eval(), get_spec("faster_vit_0_224")
    stale = {key: value + 1 if key.endswith(DERIVED) else value for key, value in model.state_dict().items()}
    x = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        before = model(x)
        load_state(model, spec, stale, "stale.pt")
        assert torch.equal(model(x), before)


@pytest.mark.parametrize("size", [(33, 47), (64, 64), (121, 225)])
def test_any_size_gives_logits(size: tuple[int, int]) -> None:
    check_input_size(get_spec(ANY), size)
    with torch.device("meta"), torch.no_grad():
        assert create_model(ANY, 5, size).eval()(torch.empty(2, 3, *size)).shape == (2, 5)


def test_each_form_says_what_it_does_at_other_sizes() -> None:
    square = size_note(get_spec("faster_vit_0_224"), (256, 256), (224, 224))
    assert square == "input 256x256: the table of position biases, made for 224x224, was resized"
    assert size_note(get_spec(ANY), (256, 256), (224, 224)) is None


def test_file_of_a_series_is_recognized() -> None:
    with torch.device("meta"):
        state = create_model("faster_vit_1_224").state_dict()
    assert list(fitting_models(state)) == ["faster_vit_1_224", "faster_vit_1_any_res"]


def test_dropped_branches_need_training() -> None:
    torch.manual_seed(0)
    block = HierarchicalBlock(8, 2, 7, grid=None, drop_path=0.9)
    x = torch.randn(4, 49, 8)
    assert torch.equal(block.eval()(x, None, (1, 1))[0], block(x, None, (1, 1))[0])
    kept = (block.train()(x, None, (1, 1))[0] - block.pos_embed(x)).flatten(1).abs().amax(dim=1)
    assert 0 in kept.tolist()


def test_description_says_licence_sizes_and_that_no_accuracy_is_published(
    run: Callable[..., tuple[int, str, str]],
) -> None:
    code, out, _ = run("models", ANY)
    assert code == 0
    assert "input          576x960; any size" in out
    assert "accuracy       none published at 576x960" in out
    assert "licence NVIDIA Source Code License-NC, non-commercial" in out
    code, out, _ = run("models", "--all")
    (row,) = (line for line in out.splitlines() if line.startswith("faster_vit_0_224 "))
    assert row.rstrip().endswith("(NC)")


def test_side_under_32_pixels_is_refused() -> None:
    with pytest.raises(OptionError, match="20x40 pixels: each side must be 32 or more; try imgsz=32"):
        check_input_size(get_spec(ANY), (20, 40))


def test_weights_are_said_to_be_non_commercial() -> None:
    for name in ("faster_vit_0_224", "faster_vit_4_21k_384", ANY):
        assert {entry.license for entry in get_spec(name).weights} == {"NVIDIA Source Code License-NC, non-commercial"}
