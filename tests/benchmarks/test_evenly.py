"""Pictures to judge by are taken from all classes."""

from benchmarks.evenly import evenly


def test_pictures_come_from_the_whole_folder_and_as_many_as_asked_for() -> None:
    """Ten classes of 150 pictures: the first 1000 would be of no more than seven of them."""
    pictures = [place // 150 for place in range(1500)]
    chosen = evenly(pictures, 1000)
    assert len(chosen) == 1000
    assert [chosen.count(label) for label in range(10)] == [100] * 10


def test_no_picture_is_taken_twice() -> None:
    assert evenly("abc", 5) == ["a", "b", "c"]
    assert evenly("abcde", 2) == ["a", "c"]
    assert evenly("", 5) == []
    assert evenly("abc", 0) == []
