"""What a made board says of itself, and what its updater follows."""

from typing import Any

from edgevit.runtime.board.status import BoardStatus

DIGEST, NEWER = "c4e4961e" + "0" * 56, "0042beef" + "1" * 56
STATUS = BoardStatus(
    host="pen3",
    version="0.1.0",
    pid=4711,
    model="/srv/models/farm.onnx",
    sha256=DIGEST,
    since="2026-11-20T13:36:31.250Z",
    time="2026-11-20T14:00:00.000Z",
)
FOLLOWED: dict[str, Any] = {
    "target": "stable/farm.onnx",
    "channel": "stable",
    "state": "waiting",
    "installed": {"version": 12, "sha256": DIGEST},
    "latest": {"version": 13, "sha256": NEWER},
    "error": None,
    "checked": "2026-11-20T13:00:00.000Z",
}
