"""Processes of their own for conversions and runs: a crash or a pool of threads in one harms no other.

Between its turns a process is stopped by a signal, so that threads that spin while they wait cost the others nothing.
"""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from peers.row import Job, Row

BENCHMARKS = Path(__file__).parents[1]
CONVERSION_S = 1800.0
"""How long a conversion, or opening a model, may take, in seconds: torch.compile compiles for minutes."""
ANSWER_S = 900.0
ENDING_S = 10.0


class PeerError(RuntimeError):
    """A row could not be converted or run; the message says why."""


class Process:
    """A worker (worker.py) that is asked by lines of JSON."""

    def __init__(self, task: str, job: Job, *rest: object, threads: int | None = None) -> None:
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(BENCHMARKS), str(BENCHMARKS.parent), os.environ.get("PYTHONPATH", "")]),
        }
        if threads is not None:
            # for pools that take it from here; edgevit and most others are told directly
            environment |= {"OMP_NUM_THREADS": str(threads)}
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", "peers.worker", task, job.to_json(), *map(str, rest)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )
        self._used_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        process.send_signal(signal.SIGCONT)
        assert process.stdin is not None
        try:
            process.stdin.close()
            process.wait(ENDING_S)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            process.kill()
            process.wait()
        self._errors.close()

    def ask(self, **what: object) -> dict[str, Any]:
        """Wake the process, have it do something, and stop it again."""
        assert self._process.stdin is not None
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise PeerError(self._end()) from None
        return self.answer(ANSWER_S)

    def answer(self, timeout_s: float = CONVERSION_S) -> dict[str, Any]:
        """Wait for a line, and stop the process.

        Raises:
            PeerError: it failed, died or took too long.
        """
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], timeout_s)[0]:
            self._process.kill()
            raise PeerError(f"took longer than {timeout_s:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise PeerError(self._end())
        self._process.send_signal(signal.SIGSTOP)
        self.processor_s()
        told: dict[str, Any] = json.loads(line)
        if "failed" in told:
            raise PeerError(told["failed"])
        return told

    def processor_s(self) -> float:
        """Return the processor time that the process has used, in seconds; where it has died, until its last answer."""
        if self._process.poll() is None:
            # the name, in brackets, may hold spaces; utime and stime are the 14th and 15th field
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
            self._used_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return self._used_s

    def _end(self) -> str:
        """Say how the process died."""
        code = self._process.wait()
        self._errors.seek(0)
        last = ([""] + [line.strip() for line in self._errors if line.strip()])[-1][:160]
        how = f"died by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return f"{how}: {last}" if last else how


def forget_other_weights(folder: Path, sha256: str) -> None:
    """Have everything converted anew if the folder holds conversions of other weights."""
    stamp = folder / "weights.sha256"
    if not stamp.exists() or stamp.read_text() != sha256:
        for done in folder.glob("*.done"):
            done.unlink()
    stamp.write_text(sha256)


def make(job: Job, row: Row) -> None:
    """Convert a model for a row, unless that was done before.

    Raises:
        PeerError: it cannot be converted.
    """
    done = job.folder / f"{row.key}.done"
    if not done.exists():
        with Process("make", job, row.key) as process:
            process.answer()
        done.touch()
