"""Where data sets say under which licence they are."""

import json
from pathlib import Path

from edgevit.runtime.overview.licences import find_licences
from tests.made_labels import coco, write


def test_each_place_where_exports_have_it(tmp_path: Path) -> None:
    document = json.loads(coco({"a.jpg": 1}, {"hen": 1}))
    document["licenses"] = [{"id": 1, "name": "CC BY 4.0", "url": "https://h/"}, {"id": 0, "name": "", "url": ""}]
    files = {
        "data.yaml": "names: [hen]\nlicense: AGPL-3.0\nroboflow:\n  license: CC BY 4.0\n",
        "train/_annotations.coco.json": json.dumps(document),
        "README.dataset.txt": "Hens\n\nLicense: CC BY 4.0\n",
        "LICENCE.txt": "Hens of our farm\nWho took them\nCC BY 4.0\n",
        "notes.txt": "license: none",
    }
    write(tmp_path, files)
    assert find_licences(tmp_path) == (
        "AGPL-3.0 (data.yaml)",
        "CC BY 4.0 (data.yaml)",
        "CC BY 4.0 (train/_annotations.coco.json)",
        "Hens of our farm (LICENCE.txt)",
        "CC BY 4.0 (LICENCE.txt)",
        "License: CC BY 4.0 (README.dataset.txt)",
    )


def test_nothing_where_nothing_is_said(tmp_path: Path) -> None:
    write(tmp_path, {"README.md": "Hens", "data.yaml": "names: [hen]\n"})
    assert find_licences(tmp_path) == ()
