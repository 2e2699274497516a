"""The parts of the TFLite export on models whose answers and ranges are known by arithmetic."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

pytest.importorskip("litert_torch", reason="needs the extra tflite-export")

from ai_edge_litert.interpreter import Interpreter

from edgevit.artifact.flatbuffer import read_root
from edgevit.artifact.manifest import Preprocess
from edgevit.export.layers import int8_share
from edgevit.export.tflite.calibrate import calibrate
from edgevit.export.tflite.convert import ConvertError, convert
from edgevit.export.tflite.ends import with_uint8_ends, with_uint8_probabilities
from edgevit.export.tflite.forms import PlainLayerNorm, normalization, tflite_form
from edgevit.export.tflite.gelu import with_tanh_gelu
from edgevit.export.tflite.layer_noise import layer_sqnr
from edgevit.export.tflite.quantize import quantize
from edgevit.export.tflite_graph.graph import float_layers, layers

SHAPE = (1, 3, 8, 8)


class Tiny(nn.Module):
    """A 1x1 convolution that doubles and adds the channel's number, a mean over space, and a product."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Conv2d(3, 3, 1)
        self.head = nn.Linear(3, 2)
        with torch.no_grad():
            self.twice.weight.copy_(2 * torch.eye(3)[:, :, None, None])
            self.twice.bias.copy_(torch.tensor([0.0, 1.0, 2.0]))  # type: ignore[union-attr]
            self.head.weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]))
            self.head.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.twice(x).mean(dim=(2, 3)))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def tiny() -> bytes:
    return convert(Tiny().eval(), SHAPE)


def answer(model: bytes, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what a float-ended model answers to (8, 8, 3)."""
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
    interpreter.invoke()
    result: NDArray[np.float32] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
    return result


def constant(*values: float) -> NDArray[np.float32]:
    return np.broadcast_to(np.array(values, np.float32), (8, 8, 3)).copy()


def batches() -> Iterator[NDArray[np.float32]]:
    for value in (-1.0, 0.5, 3.0):
        yield np.full(SHAPE, value, np.float32)


def test_converted_model_answers_as_arithmetic_says(tiny: bytes) -> None:
    np.testing.assert_allclose(answer(tiny, constant(1, 2, 3)), [2, (4 + 1) + (6 + 2)], rtol=1e-6)


def test_layers_bear_their_modules_names_and_count_their_arithmetic(tiny: bytes) -> None:
    double, head = layers(tiny)
    assert (double.weight, double.operator, double.macs) == ("twice.weight", "CONV_2D", 8 * 8 * 3 * 3)
    assert (head.name, head.operator, head.macs) == ("logits", "FULLY_CONNECTED", 3 * 2)


def test_ranges_are_the_true_extremes_of_all_images(tiny: bytes) -> None:
    ranges = calibrate(tiny, batches)
    assert ranges["image"] == (-1, 3)
    assert ranges[layers(tiny)[0].name] == (-2, 8)
    assert ranges["logits"] == (-2, (6 + 1) + (6 + 2))


def test_int8_answers_within_a_step_of_each_rounding(tiny: bytes) -> None:
    model = quantize(tiny, calibrate(tiny, batches))
    assert float_layers(model) == ()
    # one step of the input (4 / 255, doubled), the convolution (10 / 255), and the logits (17 / 255)
    np.testing.assert_allclose(answer(model, constant(1, 2, 3)), [2, 13], atol=2 * (8 + 10) / 255 + 17 / 255)


class Padded(nn.Module):
    """A padded convolution of stride 2, and the mean over space."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).mean(dim=(2, 3))  # type: ignore[no-any-return]


def test_float_layer_reads_what_was_not_rounded() -> None:
    """Its padding is float with it: the answer is the float model's to the last bit."""
    model = convert(Padded().eval(), SHAPE)
    (layer,) = layers(model)
    ranges = calibrate(model, batches)
    image = np.random.default_rng(0).standard_normal((8, 8, 3), np.float32)
    np.testing.assert_array_equal(answer(quantize(model, ranges, [layer.name]), image), answer(model, image))
    assert np.abs(answer(quantize(model, ranges), image) - answer(model, image)).max() > 0


def test_weights_of_float_layers_are_float_where_it_is_asked_for(tiny: bytes) -> None:
    names = [layer.name for layer in layers(tiny)]
    model = quantize(tiny, calibrate(tiny, batches), names, float_weights=True)
    image = constant(0.1, 0.2, 0.3)
    np.testing.assert_array_equal(answer(model, image), answer(tiny, image))


def test_constants_lie_at_multiples_of_16_bytes(tiny: bytes) -> None:
    """As TFLite's schema asks (`data:[ubyte] (force_align: 16)`)."""
    for model in (tiny, quantize(tiny, calibrate(tiny, batches))):
        buffers = read_root(model, b"TFL3").tables(4)
        places = [(place, buffer.count(0)) for buffer in buffers if (place := buffer.target(0)) is not None]
        assert len(places) >= 4
        # four bytes of length come before the content
        assert [(place + 4) % 16 for place, _ in places] == [0] * len(places)


def test_noise_of_layers_is_that_of_their_roundings(tiny: bytes) -> None:
    """Outputs 2.25 + (0, 1, 2) in steps of 0.5: errors of 0.25 each, in the mean as in the convolution.

    The input's steps of 1/8 hold 1.125 exactly; the logits are not rounded, and their weights are all 1 or 0.
    """
    double, head = (layer.name for layer in layers(tiny))
    ranges = {**calibrate(tiny, batches), "image": (-16.0, 15.875), double: (-64.0, 63.5)}
    inputs = [np.full(SHAPE, 1.125, np.float32)] * 2
    found = layer_sqnr(tiny, quantize(tiny, ranges, [head]), inputs)
    assert found[double] == pytest.approx(10 * np.log10((2.25**2 + 3.25**2 + 4.25**2) / (3 * 0.25**2)), abs=0.01)
    # logits 2.25 and 7.5, off by a quarter and by a half
    assert found[head] == pytest.approx(10 * np.log10((2.25**2 + 7.5**2) / (0.25**2 + 0.5**2)), abs=0.1)


class Bent(nn.Module):
    """GELU of the mean of each channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.gelu(x).mean(dim=(2, 3))


def test_tanh_form_of_gelu_is_that_of_its_paper() -> None:
    model = convert(Bent().eval(), SHAPE)
    tanh = with_tanh_gelu(model)
    for x in (-3.0, -1.0, 0.5, 2.0):
        exact = x / 2 * (1 + math.erf(x / math.sqrt(2)))
        assert answer(model, constant(x, x, x))[0] == pytest.approx(exact, abs=1e-5)
        formula = x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        assert answer(tanh, constant(x, x, x))[0] == pytest.approx(formula, abs=1e-5)
        assert abs(formula - exact) < 5e-4


def test_layer_that_stays_float_is_not_counted_as_int8(tiny: bytes) -> None:
    double, head = layers(tiny)
    model = quantize(tiny, calibrate(tiny, batches), [head.name])
    assert float_layers(model) == (head.name,)
    share = int8_share([double, head], float_layers(model))
    assert share == pytest.approx(double.macs / (double.macs + head.macs))


@pytest.mark.parametrize(("kind", "lowest"), [("int8", -128), ("uint8", 0)])
def test_integer_ends_take_raw_pixels(kind: str, lowest: int) -> None:
    preprocessing = Preprocess(size=(8, 8), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    model = convert(Tiny().eval(), SHAPE, normalize=preprocessing)
    pixels = [np.full(SHAPE, value, np.float32) for value in (0.0, 0.4, 1.0)]
    ranges = {**calibrate(model, lambda: pixels), "image": (0.0, 1.0)}
    model = quantize(model, ranges, ends=("INPUT", "OUTPUT"))
    interpreter = Interpreter(model_content=with_uint8_ends(model) if kind == "uint8" else model)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert source["dtype"] == target["dtype"] == np.dtype(kind)
    assert (source["name"], target["name"]) == ("image", "logits")
    assert source["quantization"] == (pytest.approx(1 / 255), lowest)
    interpreter.set_tensor(source["index"], np.full((1, 8, 8, 3), 204 + lowest, kind))
    interpreter.invoke()
    scale, zero = target["quantization"]
    found = scale * (interpreter.get_tensor(target["index"])[0].astype(np.float32) - zero)
    # 204 / 255 = 0.8 is (0.8 - 0.5) / 0.25 = 1.2 normalized
    np.testing.assert_allclose(found, [2.4, (2.4 + 1) + (2.4 + 2)], atol=0.15)


def test_noise_is_found_behind_integer_ends() -> None:
    """Gray of 0.8 is 1.2 after normalization: 2.4, 3.4, 4.4 and logits 2.4, 7.8, each within a step or two."""
    preprocessing = Preprocess(size=(8, 8), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    plain = convert(Tiny().eval(), SHAPE, normalize=preprocessing)
    pixels = [np.full(SHAPE, value, np.float32) for value in (0.0, 0.4, 1.0)]
    ranges = {**calibrate(plain, lambda: pixels), "image": (0.0, 1.0)}
    model = with_uint8_ends(quantize(plain, ranges, ends=("INPUT", "OUTPUT")))
    found = layer_sqnr(plain, model, [np.full(SHAPE, 0.8, np.float32)])
    assert [name.split(";")[0] for name in found] == ["normalization", "twice", "logits"]
    assert all(value is None or value > 30 for value in found.values())


def test_uint8_probabilities_are_those_of_a_softmax(tiny: bytes) -> None:
    interpreter = Interpreter(model_content=with_uint8_probabilities(tiny))
    interpreter.allocate_tensors()
    (target,) = interpreter.get_output_details()
    assert (target["dtype"], target["quantization"]) == (np.uint8, (1 / 256, 0))
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], constant(2, 0.25, 0.25)[None])
    interpreter.invoke()
    # logits 4 and 1.5 + 2.5 are equal
    assert interpreter.get_tensor(target["index"]).tolist() == [[128, 128]]


def test_normalization_in_the_graph_is_that_of_preprocessing() -> None:
    preprocessing = Preprocess(size=(8, 8))
    pixels = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    torch.testing.assert_close(normalization(preprocessing)(pixels), (pixels - mean) / std)


def test_normalization_of_a_blue_first_input_is_in_its_order() -> None:
    """Mean and deviation are in the order of RGB whatever the input's is."""
    how = Preprocess(size=(8, 8), mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.2), channels="BGR")
    found = normalization(how)(torch.full((1, 3, 1, 1), 0.5)).reshape(-1)
    torch.testing.assert_close(found, torch.tensor([0.2 / 0.2, 0.3 / 0.25, 0.4 / 0.5]))


def test_plain_layernorm_is_layernorm() -> None:
    norm = nn.LayerNorm(12, eps=1e-6)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(PlainLayerNorm(norm)(x), norm(x))


def test_form_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.Flatten(), nn.LayerNorm(192), nn.Linear(192, 2))
    tflite_form(model)
    assert isinstance(model[1], nn.LayerNorm)


def test_model_that_cannot_be_converted_is_one_line() -> None:
    class Branching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))

    with pytest.raises(ConvertError, match="could not convert the model") as caught:
        convert(Branching(), SHAPE)
    assert "\n" not in str(caught.value)


class Transposed(nn.Module):
    """A sum of constants that do not lie without gaps in memory."""

    def __init__(self) -> None:
        super().__init__()
        for i in range(16):
            self.register_buffer(f"constant{i}", torch.randn(8, 3, generator=torch.manual_seed(i)).T[None, :, :, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i, constant in enumerate(self.buffers()):
            x = (x + constant).relu() if i % 2 else x * constant
        return x.mean(dim=(2, 3))


def test_constants_lie_without_gaps_so_that_none_is_taken_for_another() -> None:
    """Where the converter copies a constant, another may get the copy's place, and its values."""
    model = Transposed().eval()
    assert not any(constant.is_contiguous() for constant in model.buffers())
    assert all(constant.is_contiguous() for constant in tflite_form(model).buffers())
    image = np.random.default_rng(0).standard_normal((8, 8, 3), np.float32)
    with torch.inference_mode():
        expected = model(torch.from_numpy(image).permute(2, 0, 1)[None])[0].numpy()
    np.testing.assert_allclose(answer(convert(model, SHAPE), image), expected, rtol=1e-5, atol=1e-6)
