"""What docs/ promises about files and answers is what the code has."""

import ast
import dataclasses
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import edgevit
from edgevit.artifact.cases import SelfTest, SelfTests
from edgevit.artifact.manifest import (
    Calibration,
    Input,
    Manifest,
    Parity,
    Preprocess,
    Quantization,
    Weights,
    mirrored_keys,
    read_manifest,
)
from edgevit.runtime.results import Result
from edgevit.runtime.run.options import RunOptions
from tests.places import DOCS, ROOT

PUBLIC = ("edgevit", "edgevit.export", "edgevit.training")
"""What programs may import of the package."""
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


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
    code = text.split("<<'EOF'\n")[1].split("EOF")[0]
    done = subprocess.run([sys.executable, "-c", code, tiny_model], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def python_of(path: Path) -> list[str]:
    """Return the Python in a script, or in the blocks of a page: fenced ones, and indented ones that import."""
    text = path.read_text()
    if path.suffix == ".py":
        return [text]
    indented = re.findall(r"(?:^ {4}.*\n|^\n)+", re.sub(PYTHON_BLOCK, "", text), re.MULTILINE)
    return [*PYTHON_BLOCK.findall(text), *(textwrap.dedent(block) for block in indented if "import edgevit" in block)]


def imported_by(code: str) -> set[str]:
    """Return the modules of the package that a program imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name for name in names if name.partition(".")[0] == "edgevit"}


PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted((ROOT / "examples").glob("*.[mp][dy]"))]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_readme_docs_and_examples_import_nothing_deeper_than_the_face(path: Path) -> None:
    for code in python_of(path):
        assert imported_by(code) <= set(PUBLIC)


def test_every_name_of_the_face_is_described() -> None:
    text = (DOCS / "python.md").read_text()
    described = [*edgevit.__all__, *(field.name for field in dataclasses.fields(RunOptions))]
    assert [name for name in described if not re.search(rf"[`(]{name}\b", text) and name != "__version__"] == []


def test_links_within_the_page_of_the_face_lead_somewhere() -> None:
    text = (DOCS / "python.md").read_text()
    titles = [re.sub(r"[^\w -]", "", title) for title in re.findall(r"^#+ (.*)", text, re.MULTILINE)]
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= {title.lower().replace(" ", "-") for title in titles}
