"""Class names that come with the package stand at the numbers that everybody else gives them."""

from edgevit.models.zoo.datasets import IMAGENET_1K
from edgevit.models.zoo.registry import get_spec, list_models


def test_imagenet_classes_have_the_numbers_that_other_tools_print() -> None:
    """The numbers are those in the published examples of Keras, PyTorch, Caffe, Coral and OpenVINO."""
    known = {
        0: "tench",
        1: "goldfish",
        207: "golden retriever",
        258: "Samoyed",
        281: "tabby",
        282: "tiger cat",
        285: "Egyptian cat",
        291: "lion",
        340: "zebra",
        386: "African elephant",
        388: "giant panda",
        463: "bucket",
        605: "iPod",
        817: "sports car",
        895: "warplane",
        945: "bell pepper",
        954: "banana",
        985: "daisy",
        999: "toilet tissue",
    }
    assert {number: IMAGENET_1K[number] for number in known} == known


def test_no_two_of_the_thousand_imagenet_classes_have_one_name() -> None:
    assert len(IMAGENET_1K) == len({name.casefold() for name in IMAGENET_1K}) == 1000
    assert all(name == name.strip() and name for name in IMAGENET_1K)


def test_published_weights_of_a_thousand_classes_have_their_names() -> None:
    entries = [entry for name in list_models() for entry in get_spec(name).weights]
    assert all(len(entry.labels) == entry.num_classes for entry in entries)
    assert {entry.labels for entry in entries if entry.dataset == "ImageNet-1k"} == {IMAGENET_1K}
    assert all(len(get_spec(name).labels) == get_spec(name).num_classes for name in list_models())
