"""Linear attention of two int8 tensors: apart for each, and fed without copies."""

import numpy as np
import pytest

pytest.importorskip("litert_torch", reason="needs the extra tflite-export")

from ai_edge_litert import schema_py_generated as schema

from edgevit.export.tflite_graph.graph import opened, operators
from edgevit.export.tflite_graph.heads import split_heads
from edgevit.export.tflite_graph.moves import move_int8
from edgevit.export.tflite_graph.paddings import join_constants
from edgevit.export.tflite_graph.products import feed_products
from tests.made_tflite import Tiny, answers, kinds, shapes

HEADS, DIM, PIXELS = 2, 4, 9
"""Heads of each tensor, their queries' length, and the image's pixels, 3x3."""
CHANNELS = 3 * HEADS * DIM
GIVEN = np.random.default_rng(0).standard_normal((1, 3, 3, CHANNELS), np.float32)


def attention(joined_along: int = 3) -> bytes:
    """Return EfficientViT's attention as the converter writes it, of two roundings of the image."""
    made = Tiny()
    source = made.tensor((1, 3, 3, CHANNELS))
    parts = []
    for scale in (0.03, 0.05):
        rounded = made.add("QUANTIZE", [source], made.tensor((1, 3, 3, CHANNELS), scale, 5))
        parts.append(made.add("DEQUANTIZE", [rounded], made.tensor((1, 3, 3, CHANNELS)), version=2))
    joined = made.add(
        "CONCATENATION", parts, made.tensor((1, 3, 3, 2 * CHANNELS)), kind="ConcatenationOptions", axis=joined_along
    )
    first = made.add("TRANSPOSE", [joined, made.numbers(0, 3, 1, 2)], made.tensor((1, 2 * CHANNELS, 3, 3)))
    heads, rows = (1, 2 * HEADS, 3 * DIM, PIXELS), (1, 2 * HEADS, DIM, PIXELS)
    qkv = made.add("RESHAPE", [first, made.numbers(*heads)], made.tensor(heads))
    q, k, v = (
        made.add("SLICE", [qkv, made.numbers(0, 0, at, 0), made.numbers(*rows)], made.tensor(rows))
        for at in (0, DIM, 2 * DIM)
    )
    q, k = (made.add("RELU", [each], made.tensor(rows)) for each in (q, k))
    below = made.tensor((4, 2), values=np.array([[0, 0], [0, 0], [0, 1], [0, 0]], np.int32))
    one = made.tensor((), values=np.array(1, np.float32))
    longer = (1, 2 * HEADS, DIM + 1, PIXELS)
    v = made.add("PADV2", [v, below, one], made.tensor(longer), kind="PadV2Options")
    turned = made.add("TRANSPOSE", [k, made.numbers(0, 1, 3, 2)], made.tensor((1, 2 * HEADS, PIXELS, DIM)))
    left, right, queries = (
        made.add("RESHAPE", [each, made.numbers(*shape)], made.tensor(shape))
        for each, shape in ((v, longer[1:]), (turned, (2 * HEADS, PIXELS, DIM)), (q, rows[1:]))
    )
    product = "BatchMatMulOptions"
    inner = made.add("BATCH_MATMUL", [left, right], made.tensor((2 * HEADS, DIM + 1, DIM)), kind=product)
    outer = made.add("BATCH_MATMUL", [inner, queries], made.tensor(longer[1:]), kind=product)
    whole = made.add("RESHAPE", [outer, made.numbers(*longer)], made.tensor(longer))
    total, last = (1, 2 * HEADS, 1, PIXELS), (1, 2 * HEADS * DIM, 3, 3)
    above = made.add("SLICE", [whole, made.numbers(0, 0, 0, 0), made.numbers(*rows)], made.tensor(rows))
    weights = made.add("SLICE", [whole, made.numbers(0, 0, DIM, 0), made.numbers(*total)], made.tensor(total))
    least = made.tensor((), values=np.array(1e-15, np.float32))
    divisor = made.add("MAXIMUM", [weights, least], made.tensor(total), kind="MaximumMinimumOptions")
    mean = made.add("DIV", [above, divisor], made.tensor(rows), kind="DivOptions")
    image = made.add("RESHAPE", [mean, made.numbers(*last)], made.tensor(last))
    shape = (1, 3, 3, 2 * HEADS * DIM)
    channels_last = made.add("TRANSPOSE", [image, made.numbers(0, 2, 3, 1)], made.tensor(shape))
    rounded = made.add("QUANTIZE", [channels_last], made.tensor(shape, 0.02, 1))
    return made.model(source, made.add("DEQUANTIZE", [rounded], made.tensor(shape), version=2))


def test_all_of_an_attention_is_moved_as_int8_and_answers_the_same() -> None:
    model = attention()
    fed = feed_products(model)
    assert kinds(fed).count("RESHAPE") == 2
    assert kinds(fed).count("TRANSPOSE") == 2
    apart = split_heads(move_int8(fed))
    joined = join_constants(apart)
    assert "PADV2" not in kinds(joined)
    graph = opened(joined).subgraphs[0]
    for name, item in operators(opened(joined)):
        if name in ("TRANSPOSE", "RESHAPE"):
            assert graph.tensors[item.inputs[0]].type == schema.TensorType.INT8, name
    assert kinds(joined).count("BATCH_MATMUL") == 4
    for rewritten in (fed, apart, joined):
        np.testing.assert_array_equal(answers(rewritten, GIVEN)[0], answers(model, GIVEN)[0])


def test_parts_that_meet_before_they_are_rounded_stay_joined() -> None:
    made = Tiny()
    source = made.tensor((1, 3, 3, 4))
    parts = []
    for scale in (0.03, 0.05):
        rounded = made.add("QUANTIZE", [source], made.tensor((1, 3, 3, 4), scale))
        parts.append(made.add("DEQUANTIZE", [rounded], made.tensor((1, 3, 3, 4)), version=2))
    joined = made.add("CONCATENATION", parts, made.tensor((1, 3, 3, 8)), kind="ConcatenationOptions", axis=3)
    mean = made.add("MEAN", [joined, made.numbers(3)], made.tensor((1, 3, 3, 1)), kind="ReducerOptions", keepDims=True)
    model = made.model(source, made.add("QUANTIZE", [mean], made.tensor((1, 3, 3, 1), 0.01)))
    assert split_heads(model) is model


def test_right_side_of_a_product_turns_its_last_axes_by_the_product() -> None:
    made = Tiny()
    source = made.tensor((1, 5, 2, 3))
    left = made.add("TRANSPOSE", [source, made.numbers(0, 2, 1, 3)], made.tensor((1, 2, 5, 3)))
    right = made.add("TRANSPOSE", [source, made.numbers(0, 2, 3, 1)], made.tensor((1, 2, 3, 5)))
    scores = made.add("BATCH_MATMUL", [left, right], made.tensor((1, 2, 5, 5)), kind="BatchMatMulOptions")
    model = made.model(source, scores)
    fed = feed_products(model)
    given = np.random.default_rng(1).standard_normal((1, 5, 2, 3)).astype(np.float32)
    assert (1, 2, 3, 5) not in shapes(fed)
    expected = np.einsum("nhc,mhc->hnm", given[0], given[0])
    np.testing.assert_allclose(answers(fed, given)[0][0], expected, rtol=1e-5, atol=1e-6)


def test_padding_at_both_ends_stays_padding() -> None:
    made = Tiny()
    source = made.tensor((2, 2))
    around = made.tensor((2, 2), values=np.array([[1, 1], [0, 0]], np.int32))
    one = made.tensor((), values=np.array(1, np.float32))
    model = made.model(source, made.add("PADV2", [source, around, one], made.tensor((4, 2)), kind="PadV2Options"))
    assert join_constants(model) is model
