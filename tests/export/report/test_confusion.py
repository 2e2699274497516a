"""A confusion matrix is drawn with every count at its place, and nothing in a name is taken for markup."""

import re
import xml.etree.ElementTree as ElementTree

from edgevit.export.report.confusion import confusion_svg, most_confused


def test_counts_stand_in_the_row_of_the_class_and_the_column_of_the_answer() -> None:
    drawing = ElementTree.fromstring(confusion_svg(("hen", "duck"), ((7, 1), (0, 4))))
    cells = {
        (group.find("rect").get("x"), group.find("rect").get("y")): group.find("text").text  # type: ignore[union-attr]
        for group in drawing.findall("g")
    }
    assert cells == {("150", "120"): "7", ("180", "120"): "1", ("180", "150"): "4"}
    titles = [title.text for title in drawing.iter("title")]
    assert titles[1] == "1 of 8 hen taken for duck"


def test_names_are_escaped_and_cut() -> None:
    drawn = confusion_svg(("<script>", "a name that is far too long"), ((1, 0), (0, 1)))
    assert "<script>" not in drawn
    assert "a name that is far too long</text>" not in drawn
    assert re.search(">a name that is fa…</text>", drawn)


def test_of_many_classes_the_most_confused_are_drawn() -> None:
    """All of 40 classes are right but 5, taken once for 6, and 7, which has no image and is never answered."""
    confusion = [[int(row == column) for column in range(40)] for row in range(40)]
    confusion[5][5], confusion[5][6], confusion[7][7] = 0, 1, 0
    chosen = most_confused(confusion)
    assert len(chosen) == 30
    assert set(chosen[:2]) == {5, 6}
    assert 7 not in chosen
