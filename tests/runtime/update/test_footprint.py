"""What a check costs a board that has better things to do: memory, packages and requests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgevit.runtime.enroll.settings import enrollment_path
from edgevit.runtime.update.enrollment import write_enrollment
from edgevit.runtime.update.state import Release, UpdateState, write_state
from tests.made_signed_site import MadeSite
from tests.made_static_web import StaticWeb
from tests.made_update_board import MadeBoard, Make
from tests.places import ROOT

CHECK = """
import json, sys
sys.modules.update(dict.fromkeys(sys.argv[1:]))
from edgevit.cli import main
try:
    main(["update"])
except SystemExit as end:
    code = end.code
# not getrusage, which counts what this process was before it became Python
peak_mb = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1e3
print(json.dumps({"code": code, "peak_mb": peak_mb, "modules": list(sys.modules)}))
"""
"""Runs `edgevit update` as a timer does, without the packages that are named."""
MODEL = b"a model" * 500_000


def check(board: MadeBoard, folder: Path, *absent: str) -> dict[str, object]:
    """Run a check in a process of its own; the board's settings lie in a folder that is given as the user's."""
    write_enrollment(enrollment_path("edgevit", True, {"XDG_CONFIG_HOME": str(folder)}), board.enrollment)
    code = CHECK.replace('["update"]', '["update", "--user"]')
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "systemctl").write_text("#!/bin/sh\necho inactive\n")
    (tools / "systemctl").chmod(0o755)
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "XDG_CONFIG_HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "PATH": f"{tools}:{os.environ['PATH']}",
    }
    done = subprocess.run([sys.executable, "-c", code, *absent], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    assert answer["code"] == 0, done.stderr
    return answer


def settled(site: MadeSite, make: Make) -> MadeBoard:
    """Return a board that has what the site offers."""
    site.publish("stable/farm.onnx", MODEL)
    board = make()
    board.enrollment.model.write_bytes(MODEL)
    edition = site.edition("stable/farm.onnx")
    release = Release(edition["version"], edition["sha256"])
    write_state(board.into, UpdateState("stable/farm.onnx", "stable", "current", release, release))
    return board


def test_check_takes_little_memory_and_none_of_what_runs_models(site: MadeSite, make: Make, tmp_path: Path) -> None:
    board = settled(site, make)
    check(board, tmp_path)
    answer = check(board, tmp_path)
    assert isinstance(answer["peak_mb"], float)
    assert answer["peak_mb"] <= 50
    assert not {"numpy", "cv2", "onnxruntime", "PIL"} & set(answer["modules"])  # type: ignore[call-overload]


def test_check_of_a_new_version_without_new_bytes_fetches_three_small_documents(
    site: MadeSite, web: StaticWeb, make: Make, tmp_path: Path
) -> None:
    board = settled(site, make)
    check(board, tmp_path)
    site.publish("stable/farm.onnx", MODEL)
    web.asked.clear()
    check(board, tmp_path)
    assert web.asked == [
        "/metadata/2.root.json",
        "/metadata/timestamp.json",
        f"/metadata/{site.snapshot.version}.snapshot.json",
        "/metadata/2.stable.json",
    ]


def test_board_needs_no_cryptography(site: MadeSite, make: Make, tmp_path: Path) -> None:
    """Ed25519 is checked by what securesystemslib brings along, in pure Python; a wrong signature is still refused."""
    board = settled(site, make)
    absent = ("cryptography", "nacl")
    answer = check(board, tmp_path, *absent)
    assert not [name for name in answer["modules"] if str(name).startswith("cryptography.")]  # type: ignore[attr-defined]
    (board.into / "update" / "metadata" / "stable.json").unlink()
    site.keys["stable"] = site.keys["snapshot"]
    site.publish("stable/farm.onnx", MODEL)
    with pytest.raises(AssertionError, match="not signed with the keys that this board trusts"):
        check(board, tmp_path, *absent)


def test_package_that_is_missing_is_named_with_its_extra(site: MadeSite, make: Make, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"tuf is not installed.*pip install 'edgevit\[update\]'"):
        check(settled(site, make), tmp_path, "tuf")
