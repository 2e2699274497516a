"""What is known of a model that edgevit did not export, as lines for people."""

from edgevit.artifact.graph import Graph
from edgevit.cli.foreign_plan import ForeignPlan
from edgevit.cli.labels_text import shortened
from edgevit.runtime.backends.meaning import OutputMeaning
from edgevit.runtime.foreign import IMAGENET_MEAN, IMAGENET_STD

MEANINGS = {
    "logits": "logits: edgevit makes probabilities of them by a softmax",
    "probabilities": "probabilities of classes of which one is there",
    "sigmoid": "a probability for each class by itself, several may be there",
}
"""What the answers are to what a person should know."""


def describe_graph(graph: Graph) -> list[tuple[str, str]]:
    """Return the inputs, the outputs and the versions as (name, value) lines."""
    return [
        *(("input", str(tensor)) for tensor in graph.inputs),
        *(("output", str(tensor)) for tensor in graph.outputs),
        ("versions", ", ".join(f"{name} {version}" for name, version in graph.versions.items())),
    ]


def describe_plan(plan: ForeignPlan) -> list[tuple[str, str]]:
    """Return what edgevit would do with the model as (name, value) lines."""
    steps = plan.preprocess
    height, width = steps.size
    size = f"{height}x{width} (height x width)" if plan.size_known else "any size: give --imgsz"
    mean, std = (",".join(f"{value:g}" for value in values) for values in (steps.mean, steps.std))
    origin = "from the file's metadata or its integer input" if plan.meaning else "as is usual for such models"
    known = f"mean {mean} std {std}, {origin}"
    unknown = f"unknown: give --mean and --std (ImageNet's: --mean {IMAGENET_MEAN} --std {IMAGENET_STD})"
    count = len(plan.labels) if plan.meaning is None else plan.meaning.count
    return [
        ("preprocess", f"{steps.interpolation}, crop {steps.crop_mode} {steps.crop_pct}, to {size}, {steps.channels}"),
        ("normalize", known if plan.normalization_known else unknown),
        ("answers", f"boxes: {plan.boxes}" if plan.meaning is None else _answers(plan.meaning)),
        ("labels", shortened(plan.labels) if plan.labels else f"unknown: give --labels FILE with {count:,} names"),
    ]


def _answers(found: OutputMeaning) -> str:
    single = found.count == 1 and found.meaning == "logits"
    return f"{found.count:,} {'one logit: yes or no' if single else MEANINGS[found.meaning]}; --outputs says otherwise"


def next_command(model: str, plan: ForeignPlan) -> str:
    """Return the command that classifies a picture, with what must be given."""
    values = {
        "--labels": "FILE",
        "--mean": "R,G,B",
        "--std": "R,G,B",
        "--imgsz": "N",
    }
    return " ".join(["edgevit run", model, "PHOTO", *(f"{option} {values[option]}" for option in plan.missing)])
