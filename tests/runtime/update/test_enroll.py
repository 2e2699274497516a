"""Enrolling a board as a library call: whose folder it is, what is forgotten, and what cannot be."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgevit.errors import OptionError, OutputError
from edgevit.runtime.enroll import enroll as enroll_module
from edgevit.runtime.enroll.enroll import enroll
from edgevit.runtime.update.enrollment import read_enrollment
from edgevit.runtime.update.floor import Floor, read_floor, write_floor
from tests.made_signed_site import MadeSite


class Enrolling:
    """A board's settings in a folder, whoever's they are."""

    def __init__(self, folder: Path, site: MadeSite) -> None:
        self.into, self.settings = folder / "models", folder / "settings" / "update.json"
        self._told: dict[str, Any] = {"root": site.metadata / "1.root.json", "target": "stable/farm.onnx", "user": True}

    def __call__(self, site: str = "https://example.org/farm", **changes: Any) -> tuple[Path, ...]:
        return enroll(site, **{"into": self.into, **self._told, **changes})

    def see(self, root: int = 3) -> Path:
        """Leave what a check leaves; return the folder of the documents that it has seen."""
        floor, metadata = self.into / "update" / "floor.json", self.into / "update" / "metadata"
        write_floor(floor, Floor(root=root), Floor())
        metadata.mkdir()
        (metadata / "timestamp.json").write_text("{}")
        return metadata


@pytest.fixture
def enrolling(tmp_path: Path, site: MadeSite, monkeypatch: pytest.MonkeyPatch) -> Enrolling:
    made = Enrolling(tmp_path, site)
    monkeypatch.setattr(enroll_module, "enrollment_path", lambda service, user: made.settings)
    monkeypatch.setattr(enroll_module, "unit_folder", lambda user: tmp_path / "units")
    return made


def test_folder_is_made_and_what_the_updater_keeps_there_is_its_alone(enrolling: Enrolling) -> None:
    written = enrolling(into=enrolling.into / "deep")
    assert [path.name for path in written] == ["update.json", "edgevit-update.service", "edgevit-update.timer"]
    assert all(path.is_file() for path in written)
    kept = enrolling.into / "deep" / "update"
    assert kept.stat().st_mode & 0o777 == 0o700
    assert (kept / "service").read_text() == "edgevit\n"
    assert "OnUnitActiveSec=3600\nRandomizedDelaySec=1800\n" in written[2].read_text()


def test_mark_that_is_no_text_is_that_of_another_service(enrolling: Enrolling) -> None:
    mark = enrolling.into / "update" / "service"
    mark.parent.mkdir(parents=True)
    mark.write_bytes(b"\xffyard\n")
    with pytest.raises(OptionError) as caught:
        enrolling()
    assert caught.value.command_line_text == (
        f"{enrolling.into} is kept by updates of the service \ufffdyard; give each service a folder of its own, or "
        "--force to take this one"
    )
    enrolling(force=True)
    assert mark.read_text() == "edgevit\n"


def test_folder_that_a_system_service_could_not_reach_is_refused(enrolling: Enrolling) -> None:
    into = enrolling.into / "a:b"
    with pytest.raises(OptionError, match="holds a colon, which a unit file cannot pass on"):
        enrolling(into=into, user=False)
    assert not enrolling.settings.exists()
    # a user's own service sees what its user sees
    assert enrolling(into=into)


def test_folder_that_no_unit_can_name_leaves_nothing(enrolling: Enrolling) -> None:
    with pytest.raises(OptionError, match="holds a character that a unit file cannot; rename it"):
        enrolling(into=enrolling.into / "my\nfarm", user=False)
    assert not enrolling.into.exists()
    assert not enrolling.settings.exists()


def test_folder_that_cannot_be_made_is_one_line(enrolling: Enrolling) -> None:
    enrolling.into.write_text("a file")
    into = enrolling.into / "deep"
    with pytest.raises(OutputError) as caught:
        enrolling(into=into)
    assert (
        caught.value.command_line_text == f"{into} cannot be made: {enrolling.into} is no folder; choose another --into"
    )
    assert not enrolling.settings.exists()


@pytest.mark.parametrize("typed", ["HTTPS://example.org/farm", " https://example.org/farm"])
def test_same_command_again_is_no_other_site_where_an_earlier_version_kept_it_as_typed(
    enrolling: Enrolling, typed: str
) -> None:
    enrolling(typed)
    kept = enrolling.settings.read_text()
    enrolling.settings.write_text(kept.replace('"https://example.org/farm"', json.dumps(typed)))
    assert json.loads(enrolling.settings.read_text())["site"] == typed
    enrolling(typed)
    assert enrolling.settings.read_text() == kept
    with pytest.raises(OptionError, match=r"follows stable/farm.onnx of https://example.org/farm into"):
        enrolling("https://example.org/other")


def test_damaged_enrolment_is_replaced_by_force_alone(enrolling: Enrolling) -> None:
    enrolling.settings.parent.mkdir()
    enrolling.settings.write_text('{"site": ')
    with pytest.raises(OptionError, match="is damaged"):
        enrolling()
    assert enrolling.settings.read_text() == '{"site": '
    enrolling(force=True)
    assert read_enrollment(enrolling.settings).site == "https://example.org/farm"


def test_what_was_seen_is_forgotten_with_all_documents_where_it_was_of_another_site(
    enrolling: Enrolling, tmp_path: Path
) -> None:
    enrolling()
    metadata = enrolling.see()
    other = MadeSite(tmp_path / "other").metadata / "1.root.json"
    enrolling(root=other, force=True)
    assert not metadata.exists()
    assert not (enrolling.into / "update" / "floor.json").exists()


def test_what_was_seen_of_the_same_site_stays_unless_it_is_damaged(enrolling: Enrolling) -> None:
    """Else an old copy of the site would be believed after a move."""
    enrolling()
    metadata, floor = enrolling.see(root=3), enrolling.into / "update" / "floor.json"
    enrolling("https://example.org/moved", force=True)
    assert read_floor(floor).root == 3
    assert metadata.exists()
    floor.write_text('{"root": ')
    enrolling("https://example.org/moved", force=True)
    assert not floor.exists()
    assert not metadata.exists()


def test_nothing_that_was_seen_is_forgotten_without_force(enrolling: Enrolling) -> None:
    enrolling()
    metadata = enrolling.see()
    enrolling()
    assert metadata.exists()
    assert (enrolling.into / "update" / "floor.json").exists()
