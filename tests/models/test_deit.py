"""DeiT beyond its official input, and its constants at export."""

import pytest
import torch

from edgevit.models import create_model
from edgevit.models.deit import DeiT
from edgevit.models.layers import prepare_for_export
from edgevit.models.zoo.registry import get_spec, size_note


def _deit() -> DeiT:
    torch.manual_seed(0)
    model = create_model("deit_tiny_patch16_224", 3)
    assert isinstance(model, DeiT)
    return model.eval()


@pytest.mark.parametrize("size", [(32, 32), (96, 160), (256, 256)])
def test_other_sizes_give_logits_that_training_can_change(size: tuple[int, int]) -> None:
    model = _deit().train()
    model(torch.zeros(2, 3, *size)).sum().backward()
    assert model.pos_embed.grad is not None
    assert torch.isfinite(model.pos_embed.grad).all()
    assert model.pos_embed.grad.abs().sum() > 0


def test_position_of_the_official_grid_is_the_stored_one() -> None:
    model = _deit()
    assert model.position((14, 14)) is model.pos_embed


def test_resized_position_keeps_the_class_token_and_a_slope() -> None:
    model = _deit()
    # an embedding that rises by 1 a row does so by 14 / 28 a row on twice as many, away from the border
    rows = torch.arange(14.0)[:, None, None].expand(14, 14, 192)
    model.pos_embed.data[0, 1:] = rows.reshape(196, 192)
    resized = model.position((28, 14))
    assert torch.equal(resized[:, :1], model.pos_embed[:, :1])
    image = resized[0, 1:].reshape(28, 14, 192)
    assert torch.allclose(image[5:23].diff(dim=0), torch.tensor(0.5), atol=1e-5)


def test_export_form_holds_the_position_as_a_constant() -> None:
    model, x = _deit(), torch.randn(1, 3, 96, 64)
    with torch.inference_mode():
        before = model(x)
        prepare_for_export(model)
        assert torch.allclose(model(x), before, atol=1e-5)
        model.pos_embed.zero_()
        assert torch.allclose(model(x), before, atol=1e-5)


def test_resizing_is_noted() -> None:
    spec = get_spec("deit_tiny_patch16_224_hmhsa")
    assert size_note(spec, (96, 64), (224, 224)) == "input 96x64: the position embedding, made for 224x224, was resized"
    assert size_note(spec, (224, 224), (224, 224)) is None
    assert size_note(get_spec("pvt_v2_b1"), (96, 96), (224, 224)) is None
