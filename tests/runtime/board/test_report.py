"""What a run says of its board: counts of the model that answers now, and what the machine and the updater say."""

from pathlib import Path

import pytest

from edgevit.runtime.board.report import BoardReport
from edgevit.runtime.sources.frames import Clock


class Machine:
    """A board whose clock stands still until it is moved."""

    def __init__(self, root: Path) -> None:
        self.now_s, self.root = 100.0, root
        self.clock = Clock(lambda: 1_763_645_791.25 + self.now_s - 100, lambda: self.now_s)
        self.flags = root / "sys/devices/platform/soc/soc:firmware/get_throttled"
        self.zone = root / "sys/class/thermal/thermal_zone0/temp"
        for file in (self.flags, self.zone):
            file.parent.mkdir(parents=True)

    def report(self) -> BoardReport:
        return BoardReport(self.root / "models/farm.onnx", "aa", clock=self.clock, root=self.root)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)
