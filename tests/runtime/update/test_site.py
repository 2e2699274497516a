"""What a board says of a site's documents and files that are not what they should be."""

import hashlib
import json
from pathlib import Path

import pytest

from edgevit.errors import UpdateError
from edgevit.runtime.update.fetch import SiteFetcher
from edgevit.runtime.update.offer import Edition
from edgevit.runtime.update.site import check_root, fetch_model
from tests.made_signed_site import MadeSite
from tests.made_update_board import BOUNDS, make_board

CONTENT = b"a new model" * 150
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_first_root_signs_itself(site: MadeSite) -> None:
    check_root(site.first_root)


@pytest.mark.parametrize("kind", ["no document", "another document", "changed", "unsigned"])
def test_what_is_no_root_is_refused_with_where_to_find_it(site: MadeSite, kind: str) -> None:
    document = json.loads(site.first_root)
    changed = {"signed": document["signed"] | {"expires": "2040-01-01T00:00:00Z"}, "signatures": document["signatures"]}
    text, why = {
        "no document": ("hello", "Failed to deserialize JSON"),
        "another document": ((site.metadata / "timestamp.json").read_text(), "it is another document"),
        "changed": (json.dumps(changed), "root was signed by 0/1 keys"),
        "unsigned": (json.dumps(document | {"signatures": []}), "root was signed by 0/1 keys"),
    }[kind]
    with pytest.raises(UpdateError, match=rf"^it is no 1\.root\.json of a site \({why}.*\); copy it from the site's"):
        check_root(text)


def test_model_that_the_disk_does_not_take_is_one_line(site: MadeSite, tmp_path: Path) -> None:
    site.publish("stable/farm.onnx", CONTENT)
    address = site.folder.as_uri()
    enrollment = make_board(tmp_path / "board", address, site.first_root).enrollment
    part = tmp_path / "part.onnx"
    part.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UpdateError, match=f"^{part} cannot be written: .*symbolic links; free some space$"):
        fetch_model(enrollment, address, SiteFetcher(BOUNDS), Edition(1, SHA256, len(CONTENT)), part)
    assert not (tmp_path / "elsewhere").exists()
