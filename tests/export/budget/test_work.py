"""What is weighed before an export is what the export would write."""

from pathlib import Path

import pytest

from edgevit.export.budget import work
from edgevit.export.recipe import Format
from edgevit.models import create_model
from edgevit.models.zoo.registry import get_spec

pytest.importorskip("litert_torch", reason="needs the extra tflite-export")


def test_int8_tflite_is_counted_with_its_rewrites(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgevit.export.tflite_graph.passes import rewrites

    counted: list[bytes] = []

    def keep(path: Path) -> tuple[float, float]:
        counted.append(path.read_bytes())
        return 1.0, 1.0

    monkeypatch.setattr(work, "count_work", keep)
    model = create_model("efficientvit_b0", size=(64, 64)).eval()

    formats: list[Format] = ["tflite"]

    list(work.sized_works(get_spec("efficientvit_b0"), model, (64, 64), formats, ["int8"]))

    (content,) = counted
    assert [step.name for step in rewrites({}) if step.apply(content) != content] == []
