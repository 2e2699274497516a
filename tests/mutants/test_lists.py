"""The lists of `make mutants` keep up with the code: each core module has tests, and each survivor could be planted."""

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.places import ROOT

HERE = Path(__file__).parent
TESTS: dict[str, list[str]] = tomllib.loads((HERE / "modules.toml").read_text(encoding="utf-8"))["tests"]
SURVIVORS: dict[str, list[dict[str, Any]]] = tomllib.loads((HERE / "survivors.toml").read_text(encoding="utf-8"))
CORE = {
    *("runtime/selftest.py", "export/verify.py", "runtime/stream/loop.py", "runtime/stream/unusable.py"),
    *("runtime/delivery/spool.py", "runtime/delivery/sender.py", "runtime/sinks/rotating.py"),
    *("runtime/delivery/spool_file.py", "runtime/delivery/salvage.py", "runtime/delivery/log_frames.py"),
    "runtime/collect/collect.py",
    *("runtime/events/quality_alarms.py", "runtime/events/labels.py", "runtime/events/image_quality.py"),
    *("runtime/sources/grammar.py", "runtime/sources/live.py", "runtime/sources/mjpeg.py"),
    *("runtime/images/read.py", "runtime/images/decode.py", "runtime/images/preprocess.py"),
    *("device_profiles/profile.py", "device_profiles/library.py", "export/quantization/calibrate.py"),
    *("runtime/postprocess.py", "runtime/detection/decode.py", "runtime/detection/suppress.py"),
    *("runtime/tracking/tracks.py", "runtime/tracking/assignment.py", "runtime/tracking/motion.py"),
    *("runtime/detection/merge.py", "runtime/enroll/enroll.py", "runtime/enroll/timer.py"),
    # of how models get to boards, all
    *(f"{room}/{path.name}" for room in ("runtime/update", "edgevit/fleet") for path in (ROOT / room).glob("[!_]*.py")),
}


def function_lines(text: str, name: str) -> tuple[int, int]:
    """Return the first line of a function, or of a method as Class.method, and the one after its last, from 0.

    Raises:
        AssertionError: there is none of this name.
    """
    owner, _, function = name.rpartition(".")
    body = ast.parse(text).body
    if owner:
        body = next((node.body for node in body if isinstance(node, ast.ClassDef) and node.name == owner), [])
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            assert node.end_lineno is not None
            return node.lineno - 1, node.end_lineno
    raise AssertionError(f"there is no function {name} any more")


def plant(text: str, function: str, line: str, mutant: str) -> str:
    """Return a module's text in which a line of a function, or several, is replaced.

    Raises:
        AssertionError: it does not stand there.
    """
    lines, wanted = text.splitlines(), line.splitlines()
    first, end = function_lines(text, function)
    for start in range(first, end - len(wanted) + 1):
        if [each.strip() for each in lines[start : start + len(wanted)]] == wanted:
            indent = lines[start][: len(lines[start]) - len(lines[start].lstrip())]
            planted = [indent + each for each in mutant.splitlines()]
            return "\n".join([*lines[:start], *planted, *lines[start + len(wanted) :]])
    raise AssertionError(f"{function} has no line {line!r} any more")


def test_every_core_module_and_no_other_has_its_tests() -> None:
    assert set(TESTS) == CORE
    for module, tests in TESTS.items():
        assert (ROOT / module).is_file(), module
        assert tests
        for test in tests:
            assert (ROOT / test).exists(), f"{module}: {test}"


@pytest.mark.parametrize("module", sorted(SURVIVORS))
def test_listed_survivors_could_be_planted_still_and_each_has_a_reason(module: str) -> None:
    assert module in CORE
    text = (ROOT / module).read_text(encoding="utf-8")
    for one in SURVIVORS[module]:
        assert set(one) == {"function", "line", "mutants", "reason"}
        assert len(one["reason"]) > 10, one
        for mutant in one["mutants"]:
            planted = plant(text, one["function"], one["line"], mutant)
            assert ast.dump(ast.parse(planted)) != ast.dump(ast.parse(text)), one


def test_survivor_whose_line_has_changed_is_found_out() -> None:
    text = "class A:\n    def b(self):\n        return 1\n\n\ndef b():\n    return 2\n"
    assert plant(text, "A.b", "return 1", "return 3") == text.replace("1", "3").rstrip("\n")
    for function, line in (("A.b", "return 2"), ("b", "return 1"), ("A.c", "return 1")):
        with pytest.raises(AssertionError, match=r"any more$"):
            plant(text, function, line, "return 3")


def test_no_survivor_is_listed_twice() -> None:
    listed = [
        (module, one["function"], one["line"], mutant)
        for module, ones in SURVIVORS.items()
        for one in ones
        for mutant in one["mutants"]
    ]
    assert len(listed) == len(set(listed))
