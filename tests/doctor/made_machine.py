"""A machine of made files and stub commands, and what a check finds on it."""

import dataclasses
from pathlib import Path
from typing import Any

from edgevit.doctor.environment import Environment, Finding
from edgevit.doctor.examine import Check

GOOD_PACKAGES = {"numpy": "2.4.6", "onnxruntime": "1.31.1", "opencv-python-headless": "5.0.0.93"}


def put(env: Environment, name: str, text: str) -> Path:
    path = env.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def command(env: Environment, name: str, script: str) -> None:
    """Make a stub command of the shell."""
    path = Path(env.path) / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def changed(env: Environment, **changes: Any) -> Environment:
    return dataclasses.replace(env, **changes)


def only(check: Check, env: Environment) -> Finding:
    (finding,) = check(env)
    assert "\n" not in finding.text
    assert (finding.level == "ok") == (finding.remedy == ""), "a trouble comes with what mends it"
    return finding
