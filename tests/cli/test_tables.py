"""Tables: columns stand below each other, and no cell can forge a line."""

from edgevit.cli.tables import table


def test_numbers_stand_to_the_right_and_text_to_the_left() -> None:
    rows = [("model", "ms"), ("a", "10.5"), ("longer", "7")]
    assert table(rows) == "model     ms\na       10.5\nlonger     7"
    assert table(rows, others="left") == "model   ms\na       10.5\nlonger  7"


def test_cell_cannot_forge_a_line_or_an_escape_sequence() -> None:
    assert table([("cat\nself-test passed", "1"), ("\x1b[2J", "2")]) == "cat self-test passed  1\n [2J" + " " * 18 + "2"
