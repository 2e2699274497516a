"""The line that tells how far a file is from PyTorch."""

from dataclasses import replace

from edgevit.artifact.manifest import BoxParity, Parity
from edgevit.cli.parity_text import describe_parity
from tests.made_detector import MANIFEST

PARITY = Parity("int8", 0.5, 0.98765, 0.75, 3, "drawn for the test", BoxParity(8, 2, 1, 3.25, 0.07))


def test_lost_and_new_boxes_are_told() -> None:
    text = describe_parity(replace(MANIFEST, parity=(PARITY,)))
    assert text.startswith("75.0% of PyTorch's 8 boxes on 3 images drawn for the test are found again, 1 new;")
    assert "sides move by up to 3.2 pixels, scores by 0.07" in text


def test_that_nothing_was_found_is_told() -> None:
    nothing = replace(PARITY, boxes=BoxParity(0, 0, 0, 0.0, 0.0))
    text = describe_parity(replace(MANIFEST, parity=(nothing,)))
    assert text == (
        "PyTorch finds no box on 3 images drawn for the test; raw numbers differ by up to 0.5, cosine 0.9877"
    )
