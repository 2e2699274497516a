"""A rotating file against a naive model: texts in a dictionary, by day and number."""

import datetime
import os
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from edgevit.runtime.sinks.rotating import RotatingFile

FIRST = datetime.date(2026, 11, 20)
SIZE = 40

Step = tuple[int, int] | None
"""Days after FIRST and length of a line; None to close the file and open it again."""


def noon(day: int) -> float:
    return datetime.datetime.combine(FIRST + datetime.timedelta(day), datetime.time(12)).timestamp()


class Naive:
    """The file's text and its day, and those of its predecessors."""

    def __init__(self, keep: int, header: str) -> None:
        self.keep, self.header = keep, header
        self.text, self.day = "", 0
        self.before: dict[tuple[int, int], str] = {}

    def write(self, day: int, line: str) -> None:
        if self.text and self.day - day > 1:
            self.day = day
        if self.text and (day > self.day or len(self.text) + len(line) + 1 > SIZE):
            number = max((other for of, other in self.before if of == self.day), default=0) + 1
            self.before[self.day, number] = self.text
            self.text = ""
            newest = max(day, self.day)
            future = sorted(key for key in self.before if key[0] > newest)
            past = sorted(key for key in self.before if key[0] <= newest)
            for key in [*future, *past][: max(0, len(self.before) - self.keep)]:
                del self.before[key]
        if not self.text:
            self.day = day
            self.text = f"{self.header}\n" if self.header else ""
        self.text += f"{line}\n"

    def files(self) -> dict[str, str]:
        names = {
            f"a-{FIRST + datetime.timedelta(day)}{f'.{number}' if number > 1 else ''}.txt": text
            for (day, number), text in self.before.items()
        }
        return {**names, "a.txt": self.text}


STEPS = st.lists(st.none() | st.tuples(st.integers(0, 4), st.integers(1, 25)), max_size=30)


# the days of people at work: most lines are of the same day as the one before
@given(STEPS, st.lists(st.booleans(), min_size=30, max_size=30), st.integers(1, 4), st.sampled_from(["", "number"]))
@settings(max_examples=60)
def test_files_are_those_of_the_naive_model(steps: list[Step], stays: list[bool], keep: int, header: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, model, day = Path(folder, "a.txt"), Naive(keep, header), 0
        file = RotatingFile(path, SIZE, keep, header)
        for number, (step, stay) in enumerate(zip(steps, stays, strict=False)):
            if step is None:
                file.close()
                # a file's day is that of its last change
                os.utime(path, (noon(model.day),) * 2)
                file = RotatingFile(path, SIZE, keep, header)
                continue
            day = day if stay else step[0]
            line = f"{number:02d}".ljust(step[1], "x")
            file.write_line(line, noon(day))
            model.write(day, line)
            assert {each.name: each.read_text() for each in Path(folder).iterdir()} == model.files()
        file.close()


@pytest.mark.parametrize(("length", "files"), [(19, 1), (20, 2)])
def test_file_may_be_as_long_as_its_size_and_no_byte_longer(tmp_path: Path, length: int, files: int) -> None:
    # two lines of 19 letters and their ends are 40 bytes
    file = RotatingFile(tmp_path / "a.txt", SIZE)
    file.write_line("x" * 19, noon(0))
    file.write_line("x" * length, noon(0))
    file.close()
    assert len(list(tmp_path.iterdir())) == files
