"""What docs/ promises about files and answers is what the code has."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgevit.artifact.manifest import (
    Calibration,
    Input,
    Manifest,
    Parity,
    Preprocess,
    Quantization,
    SelfTest,
    SelfTests,
    Weights,
    mirrored_keys,
    read_manifest,
)
from edgevit.runtime.results import Result
from tests.places import DOCS


@pytest.mark.parametrize(
    "kind", [Manifest, Input, Preprocess, Weights, Quantization, Calibration, Parity, SelfTests, SelfTest]
)
def test_every_field_of_the_document_is_described(kind: type) -> None:
    text = (DOCS / "artifact.md").read_text()
    for field in dataclasses.fields(kind):
        name = f"cases[].{field.name}" if kind is SelfTest else field.name
        assert f"`{name}`" in text, f"docs/artifact.md does not describe {kind.__name__}.{name}"


def test_every_flat_key_is_described(tiny_model: Path) -> None:
    manifest = read_manifest(tiny_model)
    assert manifest is not None
    text = (DOCS / "artifact.md").read_text()
    assert [key for key in mirrored_keys(manifest) if f"`{key}`" not in text] == []


def test_every_field_of_a_result_is_described() -> None:
    result = Result(np.array([1.0], np.float32), ("only",))
    text = (DOCS / "results.md").read_text()
    names = [*result.to_dict(), *(name for name in dir(result) if not name.startswith(("_", "to")))]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_seal_can_be_checked_by_hand_as_described(tiny_model: Path) -> None:
    text = (DOCS / "artifact.md").read_text()
    code = text.split("<<'EOF'\n")[1].split("    EOF")[0]
    program = "\n".join(line.removeprefix("    ") for line in code.splitlines())
    done = subprocess.run([sys.executable, "-c", program, tiny_model], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
