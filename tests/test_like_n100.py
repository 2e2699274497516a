"""tools/x86/like_n100.c: programs that ask the processor what it has find AVX2, and neither AVX-512 nor AMX."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import ROOT

FEATURES = """
import json
from numpy._core._multiarray_umath import __cpu_features__ as found
print(json.dumps(sorted(name for name, there in found.items() if there)))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if platform.machine() != "x86_64" or shutil.which("gcc") is None:
        pytest.skip("needs gcc on x86-64")
    made = tmp_path_factory.mktemp("library") / "like_n100.so"
    source = ROOT / "tools" / "x86" / "like_n100.c"
    subprocess.run(
        ["gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-o", str(made), str(source)], check=True
    )
    return made


def run(library: Path, code: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"LD_PRELOAD": str(library)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip(done.stderr.strip())
    return done


def test_avx2_stays_and_avx_512_is_gone(library: Path) -> None:
    plain = subprocess.run([sys.executable, "-c", FEATURES], capture_output=True, text=True, check=True).stdout
    hidden = run(library, FEATURES)
    assert hidden.returncode == 0, hidden.stderr
    assert "AVX512" not in hidden.stdout
    assert ("AVX2" in hidden.stdout) == ("AVX2" in plain)


def test_other_faults_end_the_process_as_before(library: Path) -> None:
    done = run(library, "import ctypes; ctypes.string_at(8)")
    assert done.returncode == -11
