"""A record's body is made only as far as somebody reads it."""

import json
from pathlib import Path

import numpy as np
import pytest

from edgevit.runtime import segmentation
from edgevit.runtime.addresses.destinations import parse_sinks
from edgevit.runtime.images.masks import Mask
from edgevit.runtime.images.rle import class_runs
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Record, result_record
from edgevit.runtime.segmentation import Segmentation
from edgevit.runtime.sinks.opening import SinkContext, open_sinks


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows whenever run lengths are made."""
    made: list[int] = []

    def count(mask: Mask) -> dict[int, list[int]]:
        made.append(1)
        return class_runs(mask)

    monkeypatch.setattr(segmentation, "class_runs", count)
    return made


def segmented() -> Record:
    """Return the record of a picture whose left half is soil and whose right half is crop."""
    mask = np.zeros((4, 4), np.uint8)
    mask[:, 2:] = 1
    moment = Moment("field", 0, 0, 1e9)
    result = Segmentation(np.array([0.5, 0.5], np.float32), ("soil", "crop"), "field", mask=mask, moment=moment)
    return result_record(result, moment)


def test_run_lengths_are_made_for_no_text_and_no_table(counted: list[int], tmp_path: Path) -> None:
    sinks = open_sinks(parse_sinks([f"{tmp_path}/a.txt", f"{tmp_path}/a.csv"]), SinkContext(top_k=2))
    sinks.write(segmented())
    sinks.close()
    assert counted == []
    assert (tmp_path / "a.csv").read_text().splitlines()[1].startswith("field,soil,0.5000,crop,0.5000,2001-09-09T")


def test_run_lengths_are_made_once_for_all_that_read_them(counted: list[int], tmp_path: Path) -> None:
    record = segmented()
    sinks = open_sinks(parse_sinks([f"{tmp_path}/a.jsonl", f"{tmp_path}/b.jsonl"]), SinkContext())
    sinks.write(record)
    sinks.close()
    assert counted == [1]
    line = json.loads((tmp_path / "a.jsonl").read_text())
    assert list(line) == list(record.body)
    # down the columns: eight of soil, then eight of crop; COCO's compressed form writes 0, 8 and 8, 8
    assert [(part["label"], part["segmentation"]["counts"]) for part in line["segments"]] == [
        ("soil", "088"),
        ("crop", "88"),
    ]
