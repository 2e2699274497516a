"""The gates that an export must pass."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgevit.artifact.manifest import Parity, Precision, Preprocess
from edgevit.errors import GateError
from edgevit.export import verify
from edgevit.export.data.images import ImageSet
from edgevit.export.recipe import Recipe
from edgevit.export.tasks import answers
from edgevit.export.verify import check_numbers
from edgevit.runtime.backends.session import open_session

compare = answers.CLASSES.compare


def check(
    parity: Parity,
    precision: Precision,
    reference: NDArray[np.float32],
    *,
    trained: bool,
    noise: Callable[[], float] = lambda: 0.0,
) -> None:
    """Ask for the gates of classes or of pixels, as the reference's axes say."""
    form = answers.CLASSES if reference.ndim == 2 else answers.PIXELS
    verify.check(form, parity, precision, reference, trained=trained, noise=noise)


REFERENCE = np.array([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0]], np.float32)


def test_comparison_measures_difference_cosine_and_agreement() -> None:
    logits = np.array([[3.0, 1.0, 0.5], [2.0, 0.0, 1.0]], np.float32)
    parity = compare("step", REFERENCE, logits)
    first = 10 / np.sqrt(10 * (10 + 0.25))
    second = 1 / np.sqrt(5 * 5)
    assert parity.max_abs == pytest.approx(2.0)
    assert parity.cosine == pytest.approx((first + second) / 2)
    assert (parity.top1_agreement, parity.images) == (0.5, 2)


def test_equal_answers_pass_every_gate() -> None:
    parity = compare("step", REFERENCE, REFERENCE)
    for precision in ("fp32", "fp16", "dynamic", "int8"):
        check(parity, precision, REFERENCE, trained=True)


def test_float_export_may_not_move_a_logit_by_a_thousandth() -> None:
    parity = compare("tracing", REFERENCE, REFERENCE + 1e-3)
    with pytest.raises(GateError, match="after tracing .* differ by up to 0.001, allowed is 0.0004"):
        check(parity, "fp32", REFERENCE, trained=True)


PIXELS = np.zeros((2, 3, 4, 4), np.float32)
PERFECT = Parity("int8", max_abs=0.0, cosine=1.0, top1_agreement=1.0, images=2)
JUST_BELOW = 1e-6

COSINES: dict[Precision, float] = {"fp32": 0.99999, "fp16": 0.999, "dynamic": 0.98, "int8": 0.95}
"""The promises, for classes and pixels alike."""
KEPT_CLASSES: dict[Precision, float] = {"fp32": 1.0, "fp16": 0.98, "dynamic": 0.95, "int8": 0.9}
KEPT_PIXELS: dict[Precision, float] = {"fp32": 0.999, "fp16": 0.98, "dynamic": 0.95, "int8": 0.9}


@pytest.mark.parametrize("reference", [REFERENCE, PIXELS], ids=["classes", "pixels"])
@pytest.mark.parametrize("precision", COSINES)
def test_gate_of_the_cosine_closes_at_its_figure(precision: Precision, reference: NDArray[np.float32]) -> None:
    asked = COSINES[precision]
    check(dataclasses.replace(PERFECT, cosine=asked), precision, reference, trained=True)
    with pytest.raises(GateError, match=f"the logits' cosine is .*, at least {asked} is asked; the export was not"):
        check(dataclasses.replace(PERFECT, cosine=asked - JUST_BELOW), precision, reference, trained=True)


@pytest.mark.parametrize("precision", KEPT_CLASSES)
def test_gate_of_the_kept_classes_closes_at_its_figure(precision: Precision) -> None:
    asked = KEPT_CLASSES[precision]
    check(dataclasses.replace(PERFECT, top1_agreement=asked), precision, REFERENCE, trained=True)
    with pytest.raises(GateError, match=rf"% of 2 images keep their class, at least {100 * asked:.0f}% is asked"):
        check(dataclasses.replace(PERFECT, top1_agreement=asked - JUST_BELOW), precision, REFERENCE, trained=True)


def test_budget_kept_by_labels_stands_for_the_share_of_kept_classes_and_for_nothing_else() -> None:
    reference = np.tile(np.array([[1.0, 0.99, 0.0]], np.float32), (64, 1))
    unsure = reference.copy()
    unsure[:8, 1] += 0.02  # 56 of 64 keep their class, and all are as near as can be
    parity = compare("int8", reference, unsure)
    assert parity.top1_agreement == 0.875
    with pytest.raises(GateError, match=r"87\.5% of 64 images keep their class, at least 90% is asked"):
        verify.check(answers.CLASSES, parity, "int8", reference, trained=True)
    verify.check(answers.CLASSES, parity, "int8", reference, trained=True, judged=True)
    other = dataclasses.replace(parity, cosine=0.5)
    with pytest.raises(GateError, match="cosine is 0.5000"):
        verify.check(answers.CLASSES, other, "int8", reference, trained=True, judged=True)


@pytest.mark.parametrize("precision", KEPT_PIXELS)
def test_gate_of_the_kept_pixels_closes_at_its_figure(precision: Precision) -> None:
    asked = KEPT_PIXELS[precision]
    check(dataclasses.replace(PERFECT, top1_agreement=asked), precision, PIXELS, trained=True)
    with pytest.raises(GateError, match="% of the pixels of 2 images keep their class, at least"):
        check(dataclasses.replace(PERFECT, top1_agreement=asked - JUST_BELOW), precision, PIXELS, trained=True)


@pytest.mark.parametrize(("reference", "allowed"), [(REFERENCE, 4e-4), (PIXELS, 1e-4), (-9 * PIXELS - 9, 1e-3)])
def test_gate_of_the_difference_closes_at_a_share_of_the_largest_logit(
    reference: NDArray[np.float32], allowed: float
) -> None:
    """Allowed is 1e-4 * (1 + |logit|), the largest logits being 3, 0 and -9."""
    check(dataclasses.replace(PERFECT, max_abs=allowed * 0.999), "fp32", reference, trained=True)
    with pytest.raises(GateError, match=f"logits differ by up to .*, allowed is {allowed:.2g}"):
        check(dataclasses.replace(PERFECT, max_abs=allowed * 1.001), "fp32", reference, trained=True)


def test_difference_may_be_four_times_what_float32_itself_rounds() -> None:
    """A graph that rounds in another order is as far from the exact answer as PyTorch, so both are not far apart."""
    check(dataclasses.replace(PERFECT, max_abs=0.0039), "fp32", REFERENCE, trained=True, noise=lambda: 0.001)
    with pytest.raises(GateError, match=r"by up to 0.0041, allowed is 0.004 .*float32 is 0.001\); that is 0.1%"):
        check(dataclasses.replace(PERFECT, max_abs=0.0041), "fp32", REFERENCE, trained=True, noise=lambda: 0.001)


ASKED = {"model": "sbcformer_xs", "precision": "int8"}
BUDGETED = {**ASKED, "max_drop": 1.0}


@pytest.mark.parametrize(
    ("step", "given", "known", "remedy"),
    [
        ("tanh GELU", {"model": "deit_tiny"}, {"labelled": False}, "leave out --gelu tanh"),
        ("simplification", {"model": "sbcformer_xs"}, {"labelled": False}, "try --no-simplify"),
        ("int8", ASKED, {"labelled": False}, "give --data photos/ of your own, --max-drop 1, or export with --half"),
        (
            "int8",
            {**ASKED, "synthesized": True},
            {"labelled": False},
            "give --data photos/ of your own, in place of `--calibration synthesized`, --max-drop 1, or export with "
            "--half",
        ),
        (
            "int8",
            BUDGETED,
            {"labelled": False},
            "give labelled photos of your own by --data photos/, or export with --half",
        ),
        ("int8", {**ASKED, "data": "photos"}, {"labelled": True}, "give --max-drop 1, or export with --half"),
        (
            "int8",
            {**BUDGETED, "data": "photos"},
            {"labelled": False},
            "label the pictures of --data, so that --max-drop counts right answers in place of equal ones, or export "
            "with --half",
        ),
        ("int8", {**BUDGETED, "data": "photos"}, {"labelled": True}, "export with --half"),
        (
            "int8",
            {**BUDGETED, "data": "photos"},
            {"labelled": True, "judged": True},
            "give a smaller --max-drop, or export with --half",
        ),
    ],
)
def test_refusal_says_what_to_do_that_was_not_done_yet(
    step: str, given: dict[str, Any], known: dict[str, bool], remedy: str
) -> None:
    assert verify.remedy_of(step, Recipe(**given), **known) == remedy
    with pytest.raises(GateError) as caught:
        verify.check(
            *(answers.CLASSES, dataclasses.replace(PERFECT, step=step, cosine=0.1), "fp16", REFERENCE),
            trained=True,
            remedy=remedy,
        )
    assert caught.value.command_line_text.endswith(f"; the export was not written; {remedy}")


def test_refusal_of_a_step_that_cannot_be_left_out_asks_for_a_report() -> None:
    remedy = verify.remedy_of("tracing", Recipe("sbcformer_xs"), labelled=False)
    assert remedy.endswith("please report it with the weights")


def test_rounding_of_pytorch_is_asked_for_and_told_only_where_it_matters() -> None:
    def unasked() -> float:
        raise AssertionError("the difference is within the gate's own figure")

    # 1e-4 * (1 + 3)
    check(dataclasses.replace(PERFECT, max_abs=1e-4 * 4.0), "fp32", REFERENCE, trained=True, noise=unasked)
    with pytest.raises(
        GateError, match=r"by up to 0\.3, allowed is 0\.0004; that is 10\.0% of their range; the export"
    ):
        check(dataclasses.replace(PERFECT, max_abs=0.3), "fp32", REFERENCE, trained=True)


def test_difference_may_be_just_what_is_allowed() -> None:
    check(dataclasses.replace(PERFECT, max_abs=4.0 * 0.001), "fp32", REFERENCE, trained=True, noise=lambda: 0.001)


def test_difference_from_answers_that_are_all_equal_is_told_as_it_is() -> None:
    with pytest.raises(GateError, match=r"that is 50\.0% of their range"):
        check(dataclasses.replace(PERFECT, max_abs=0.5), "fp32", PIXELS, trained=True)


@pytest.mark.parametrize("precision", ["fp16", "dynamic", "int8"])
def test_difference_alone_stops_no_export_of_fewer_bits(precision: Precision) -> None:
    check(dataclasses.replace(PERFECT, max_abs=1e6), precision, REFERENCE, trained=True)


@pytest.mark.parametrize(("precision", "asked"), [("fp32", True), ("fp16", True), ("dynamic", False), ("int8", False)])
def test_of_untrained_weights_only_the_float_files_must_agree(precision: Precision, asked: bool) -> None:
    apart = dataclasses.replace(PERFECT, cosine=0.0, top1_agreement=0.0)
    with pytest.raises(GateError, match="cosine") if asked else contextlib.nullcontext():
        check(apart, precision, REFERENCE, trained=False)


def test_class_numbers_may_differ_in_one_pixel_of_a_thousand() -> None:
    logits = np.zeros((1, 3, 40, 50), np.float32)
    logits[:, 1] = 1.0
    numbers = np.ones((1, 1, 40, 50), np.float32)
    numbers.reshape(-1)[:2] = 2.0
    check_numbers(logits, numbers)
    numbers.reshape(-1)[2] = 2.0
    with pytest.raises(GateError, match=r"after argmax 99\.\d% of the pixels have their best class"):
        check_numbers(logits, numbers)


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_never_passes(trained: bool, value: float) -> None:
    broken = REFERENCE.copy()
    broken[1, 2] = value
    with pytest.raises(GateError, match="NaN"):
        check(compare("int8", REFERENCE, broken), "int8", REFERENCE, trained=trained)


# ---------------------------------------------------------------- the answers that are compared


class Two(torch.nn.Module):
    """Answers a batch with the sums of its pictures' first channel and of the others, as one tensor or as two."""

    def __init__(self, apart: bool) -> None:
        super().__init__()
        self.apart, self.weight = apart, torch.nn.Parameter(torch.ones(1))
        self.asked: list[tuple[int, ...]] = []

    def forward(self, pictures: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        self.asked.append(tuple(pictures.shape))
        sums = pictures.sum(dim=(2, 3)) * self.weight
        first, others = sums[:, :1], sums[:, 1:].sum(dim=1, keepdim=True)
        return (first, others) if self.apart else torch.cat([first, others], dim=1)


def batch(*levels: float) -> NDArray[np.float32]:
    """Return pictures (B, 3, 2, 5), all of one level each."""
    return np.array(levels, np.float32)[:, None, None, None] * np.ones((1, 3, 2, 5), np.float32)


@pytest.mark.parametrize("apart", [False, True])
def test_pytorch_answers_all_batches_in_order_and_without_gradients(apart: bool) -> None:
    model = Two(apart)
    found = verify.run_torch(model, [batch(1, 2), batch(3)])
    assert found.tolist() == [[10, 20], [20, 40], [30, 60]]
    assert model.asked == [(2, 3, 2, 5), (1, 3, 2, 5)]


def test_pytorch_answers_in_the_precision_of_its_weights() -> None:
    layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(30, 2)).double()
    assert verify.run_torch(layers, [batch(0.1)]).dtype == np.float64


@pytest.mark.parametrize(("most", "count"), [(240, 30), (239, 29), (8, 1), (1, 1)])
def test_so_many_answers_are_held_as_fit_into_memory_and_at_least_one(
    monkeypatch: pytest.MonkeyPatch, most: int, count: int
) -> None:
    monkeypatch.setattr(verify, "MOST_BYTES", most)
    model = Two(False)
    # two numbers of four bytes each
    assert verify.fitting_answers(model, (2, 5)) == count
    assert model.asked == [(1, 3, 2, 5)]


def test_memory_for_answers_is_a_quarter_of_a_gibibyte() -> None:
    assert verify.MOST_BYTES == 268_435_456


PLAIN = Preprocess((4, 4), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), crop_pct=1.0)
PICTURES = ImageSet(
    "generated",
    tuple(np.full((4, 4, 3), color, np.uint8) for color in ((255, 0, 51), (0, 255, 102), (51, 51, 51), (0, 0, 255))),
)
# the tiny graph's answers are 4 times the mean of each channel
ANSWERS = [[4.0, 0.0, 0.8], [0.0, 4.0, 1.6], [0.8, 0.8, 0.8], [0.0, 0.0, 4.0]]


def test_runtime_answers_a_graph_picture_by_picture(make_graph: Callable[..., onnx.ModelProto]) -> None:
    found = verify.run_graph(make_graph((1, 3, 4, 4)), PICTURES, PLAIN)
    np.testing.assert_allclose(found, ANSWERS, atol=1e-6)


def test_last_batch_is_cut_to_the_pictures_that_there_are(make_graph: Callable[..., onnx.ModelProto]) -> None:
    content = make_graph((3, 3, 4, 4)).SerializeToString()
    tracked: list[tuple[str, int]] = []

    def track(items: Iterable[Any], label: str, count: int) -> Iterable[Any]:
        tracked.append((label, count))
        return items

    found = verify.run_file(content, ".onnx", PICTURES, PLAIN, batch=3, track=track)
    np.testing.assert_allclose(found, ANSWERS, atol=1e-6)
    assert tracked == [("answers", 2)]


def test_several_outputs_of_a_file_are_joined_as_those_of_pytorch() -> None:
    nodes = [helper.make_node("ReduceMax", ["image"], ["most"], keepdims=0, axes=[2, 3])]
    nodes.append(helper.make_node("ReduceMin", ["image"], ["least"], keepdims=0, axes=[2, 3]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3)) for name in ("most", "least")]
    taken = [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 4, 4))]
    graph = helper.make_graph(nodes, "ends", taken, ends)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9)
    picture = np.full((4, 4, 3), 51, np.uint8)
    picture[0, 0] = (255, 102, 0)
    found = verify.run_graph(model, ImageSet("generated", (picture,)), PLAIN)
    np.testing.assert_allclose(found, [[1.0, 0.4, 0.2, 0.2, 0.2, 0.0]], atol=1e-6)


def test_session_of_a_step_is_closed_and_its_file_is_gone(
    make_graph: Callable[..., onnx.ModelProto], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Path] = []

    def noting(path: Path, **options: Any) -> Any:
        session = open_session(path, **options)
        close = session.close

        def noting_close() -> None:
            closed.append(path)
            close()

        monkeypatch.setattr(session, "close", noting_close)
        return session

    monkeypatch.setattr(verify, "open_session", noting)
    verify.run_graph(make_graph((1, 3, 4, 4)), PICTURES, PLAIN)
    (path,) = closed
    assert path.suffix == ".onnx"
    assert not path.parent.exists()


class Boxes(torch.nn.Module):
    """Answers with two boxes of a picture, and how sure each is: (B, 2, 4) and (B, 2, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        most = pictures.amax(dim=(1, 2, 3)).reshape(-1, 1, 1) * self.weight
        return most * torch.arange(8.0).reshape(1, 2, 4), most * torch.tensor([[[10.0], [20.0]]])


def test_outputs_of_several_axes_are_joined_along_the_last() -> None:
    found = verify.run_torch(Boxes(), [batch(1), batch(2)])
    assert found.tolist() == [
        [[0, 1, 2, 3, 10], [4, 5, 6, 7, 20]],
        [[0, 2, 4, 6, 20], [8, 10, 12, 14, 40]],
    ]


def test_outputs_of_a_file_of_several_axes_are_joined_along_the_last() -> None:
    nodes = [
        helper.make_node("ReduceMax", ["image"], ["most"], keepdims=1, axes=[1]),
        helper.make_node("Squeeze", ["most", "first"], ["rows"]),
        helper.make_node("ReduceMin", ["rows"], ["least"], keepdims=1, axes=[2]),
    ]
    ends = [helper.make_tensor_value_info("rows", TensorProto.FLOAT, (1, 4, 4))]
    ends.append(helper.make_tensor_value_info("least", TensorProto.FLOAT, (1, 4, 1)))
    taken = [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 4, 4))]
    first = [helper.make_tensor("first", TensorProto.INT64, [1], [1])]
    graph = helper.make_graph(nodes, "rows", taken, ends, first)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9)
    picture = np.full((4, 4, 3), 51, np.uint8)
    picture[2, 1] = (255, 0, 0)
    found = verify.run_graph(model, ImageSet("generated", (picture,)), PLAIN)
    expected = np.full((1, 4, 5), 0.2)
    expected[0, 2, 1] = 1.0
    np.testing.assert_allclose(found, expected, atol=1e-6)
