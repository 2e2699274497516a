"""Progress: a bar on a terminal, which gives the cursor back whatever ends it; nothing without a terminal."""

import os
import pty
import signal
import subprocess
import sys

from edgevit.cli.progress import track
from tests.places import ROOT

PROGRAM = """
import time
from edgevit.cli.progress import track
for number in track(range(100), "PyTorch's answers", 100):
    if number == 3:
        print("ready", flush=True)
        time.sleep(100)
"""


def test_without_a_terminal_there_is_no_line(capsys: object) -> None:
    assert list(track([1, 2, 3], "PyTorch's answers", 3)) == [1, 2, 3]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("100)\n", "0)\n")], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stderr == ""


def test_sigterm_gives_the_cursor_back() -> None:
    ours, theirs = pty.openpty()
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=theirs, cwd=ROOT)
    os.close(theirs)
    assert program.stdout is not None
    assert program.stdout.readline() == b"ready\n"
    program.send_signal(signal.SIGTERM)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    program.stdout.close()
    assert program.wait() == -signal.SIGTERM
    # hidden once, and shown again after that
    assert shown.rindex(b"\x1b[?25h") > shown.index(b"\x1b[?25l")
