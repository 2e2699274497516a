"""Tables in files: one header, and no row below another's."""

import csv
import os
from pathlib import Path

import pytest

from edgevit.runtime.addresses.destinations import parse_sink
from edgevit.runtime.sinks.opening import SinkContext, open_sink
from edgevit.runtime.sinks.rotating import RotatingFile
from edgevit.runtime.sinks.tables import count_table
from tests.made_records import NOON, event, open_one, record


def test_csv_has_a_row_for_each_result(tmp_path: Path) -> None:
    sink = open_one(f"{tmp_path}/a.csv")
    sink.write(record(1))
    sink.write(event(2))
    sink.close()
    (row,) = csv.DictReader((tmp_path / "a.csv").open())
    assert list(row) == ["source", "label1", "conf1", "label2", "conf2", "time", "roi", "frame", "age_ms", "id"]
    assert (row["source"], row["label1"], row["conf1"], row["label2"], row["frame"]) == (
        "pen",
        "cat",
        "0.9000",
        "dog",
        "1",
    )


def test_csv_of_events_has_columns_of_its_own(tmp_path: Path) -> None:
    sink = open_one(f"{tmp_path}/a.csv?send=events")
    sink.write(record(1))
    sink.write(event(2))
    sink.close()
    (row,) = csv.DictReader((tmp_path / "a.csv").open())
    assert (row["event"], row["label"], row["previous"], row["conf"], row["active"]) == (
        "label",
        "dog",
        "cat",
        "0.8",
        "",
    )


def test_classes_of_one_name_are_one_column_of_counts() -> None:
    assert list(count_table(("crane", "fox", "crane")).columns)[:4] == ["source", "count_crane", "count_fox", "time"]


def test_file_is_continued_after_a_restart_with_one_header(tmp_path: Path) -> None:
    for number in range(3):
        sink = open_one(f"{tmp_path}/a.csv")
        sink.write(record(number, wall_s=0))
        sink.close()
    assert [row["frame"] for row in csv.DictReader((tmp_path / "a.csv").open())] == ["0", "1", "2"]


def test_rows_never_go_below_the_header_of_other_columns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.csv"
    for place, top_k in (("a.csv", 2), ("a.csv", 1), ("a.csv?send=events", 1)):
        for _ in range(2):
            sink = open_sink(parse_sink(f"{tmp_path}/{place}"), SinkContext(top_k=top_k))
            sink.write(record(1))
            sink.write(event(2))
            sink.close()
        os.utime(path, (NOON, NOON))
    found = {each.name: list(csv.DictReader(each.open())) for each in tmp_path.iterdir()}
    assert {name: len(rows) for name, rows in found.items()} == {
        **{"a.csv": 2, "a-2026-11-20.csv": 2, "a-2026-11-20.2.csv": 2}
    }
    assert all(None not in row and None not in row.values() for rows in found.values() for row in rows)
    assert caplog.messages == [
        f"{path} has other columns; it is put aside as {name}, and begins anew"
        for name in ("a-2026-11-20.csv", "a-2026-11-20.2.csv")
    ]


def test_table_that_a_spreadsheet_saved_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfnumber\r\nline 0\r\n")
    file = RotatingFile(path, header="number")
    file.write_line("line 1", 0)
    file.close()
    assert path.read_bytes().endswith(b"line 0\r\nline 1\n")


def test_tables_of_other_columns_are_never_deleted(tmp_path: Path) -> None:
    """Such as somebody's own, whose names have a date."""
    own = {f"a-2024-05-{day:02d}.csv": f"weight\n{day}\n" for day in range(1, 6)}
    for name, text in own.items():
        (tmp_path / name).write_text(text)
    file = RotatingFile(tmp_path / "a.csv", size=20, keep=1, header="number")
    for number in range(4):
        file.write_line(f"line {number}", NOON)
    file.close()
    assert {name: (tmp_path / name).read_text() for name in own} == own
    assert len(list(tmp_path.iterdir())) == len(own) + 2
