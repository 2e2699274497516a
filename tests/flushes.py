"""What is flushed, linked and named, in its order: a power cut takes what was not flushed before."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def note_flushes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows with each flush, link and renaming; files with temporary names are parts."""
    steps: list[str] = []

    def shown(path: Path) -> str:
        return "folder" if path.is_dir() else "part" if path.name.startswith(".part-") else path.name

    def note(name: str, word: str, named: Callable[..., Path]) -> None:
        true = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            steps.append(f"{word} {shown(named(*arguments))}")
            return true(*arguments, **options)

        monkeypatch.setattr(os, name, call)

    note("fsync", "flush", lambda handle: Path(os.readlink(f"/proc/self/fd/{handle}")))
    note("replace", "name", lambda old, new: Path(new))
    note("link", "link", lambda old, new: Path(new))
    return steps
