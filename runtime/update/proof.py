"""A newer model's self-test before it may run, in a process of its own that is bound in memory and time."""

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import edgevit
from edgevit.errors import UpdateError


@dataclass(frozen=True)
class ProofBounds:
    """What a self-test may take."""

    memory: int = 1 << 30
    """Bytes of data; the largest model of the zoo takes a third."""
    time_s: int = 300


def prove(path: Path, bounds: ProofBounds) -> None:
    """Run a model's self-test.

    Raises:
        UpdateError: it failed, or took more than it may.
    """
    # the package as this process found it, which a checkout need not have installed
    package = str(Path(edgevit.__file__).parent.parent)
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]

    import resource  # Windows has none

    def limit() -> None:
        os.nice(10)
        resource.setrlimit(resource.RLIMIT_DATA, (bounds.memory, bounds.memory))
        # should this process be killed, the self-test ends all the same
        resource.setrlimit(resource.RLIMIT_CPU, (4 * bounds.time_s, 4 * bounds.time_s))

    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "edgevit", "selftest", str(path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=limit,  # noqa: PLW1509 - no other thread runs here
    )
    try:
        _, told = child.communicate(timeout=bounds.time_s)
    except subprocess.TimeoutExpired:
        raise UpdateError(f"its self-test took longer than {bounds.time_s} s") from None
    finally:
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    if child.returncode:
        lines = told.decode(errors="replace").strip().splitlines()
        said = lines[-1][-300:].removeprefix("edgevit: ") if lines else ""
        ended = f"ended by signal {-child.returncode}" if child.returncode < 0 else f"exit code {child.returncode}"
        raise UpdateError(f"its self-test failed: {said or ended}")
