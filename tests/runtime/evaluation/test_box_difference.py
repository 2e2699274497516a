"""What differs between two sets of boxes of one picture."""

from edgevit.runtime.evaluation.box_difference import box_difference
from tests.box_scenes import found_boxes, true_boxes

A, B, C = ((x, 0, x + 80, 80) for x in (0, 100, 200))
LABELS = ("hen", "fox")


def test_missed_and_wrong_boxes_are_marked() -> None:
    truth = true_boxes([A, B], [0, 1])
    found = found_boxes([A, B, C], [0.9, 0.8, 0.7], [0, 0, 1])
    difference = box_difference("a.jpg", truth, found, LABELS)
    assert (difference.source, difference.missed, difference.extra, difference.size) == ("a.jpg", 1, 2, 3)
    assert [(one.label, one.conf, one.alone) for one in difference.expected] == [
        ("hen", None, False),
        ("fox", None, True),
    ]
    assert [(one.label, round(one.conf or 0, 2), one.alone) for one in difference.found] == [
        ("hen", 0.9, False),
        ("hen", 0.8, True),
        ("fox", 0.7, True),
    ]
    assert difference.found[2].box == (200, 0, 280, 80)


def test_boxes_of_another_model_are_expected_with_their_confidence() -> None:
    difference = box_difference("a.jpg", found_boxes([A], [0.5]), found_boxes([A], [0.9]), LABELS)
    assert (difference.missed, difference.extra, difference.expected[0].conf) == (0, 0, 0.5)


def test_boxes_in_a_crowd_are_not_wrong_and_a_crowd_is_not_missed() -> None:
    truth = true_boxes([(0, 0, 300, 300)], crowd=[True])
    assert box_difference("a.jpg", truth, found_boxes([A], [0.9]), LABELS).size == 0
