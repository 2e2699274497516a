"""Plant faults in one core module and see which the tests notice: `make mutants MODULE=runtime/delivery/spool.py`.

mutmut plants them one at a time, and runs only the tests that tests/mutants/modules.toml names for the module. What
nothing notices has to be listed in tests/mutants/survivors.toml with a reason; exit code 1 where something is not, and
then it is printed as it would be listed. A second run asks again about what is not listed and about functions that
have changed; without .mutants/ it starts anew. A second argument, `make mutants MODULE=... SAMPLE=40`, is how many
mutants to ask about, drawn at random but always the same ones; SAMPLE=removals asks about those alone that leave out
a call, a refusal or a lock.
"""

import itertools
import json
import os
import random
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import libcst as cst
from mutmut.mutation import mutators
from mutmut.mutation.data import SourceFileMutationData

ROOT = Path(__file__).resolve().parent.parent
LISTS = ROOT / "tests" / "mutants"
REMOVALS = "removals"
SURVIVED = (0, 33)
"""mutmut's codes of mutants that all tests passed with, and of those that no test reached."""
HANG_S = 120
"""A test that takes longer hangs, as with a loop that has no end: it has noticed. mutmut itself waits far longer."""
CONFIG = """[tool.mutmut]
source_paths = ["edgevit", "edgevit/device_profiles", "edgevit/export", "edgevit/runtime"]
only_mutate = ["{module}"]
also_copy = ["docs", "runtime", "tools", "README.md"]
pytest_add_cli_args = ["-o", "addopts=--import-mode=importlib", "-m", "not slow", "-p", "no:cacheprovider", "-o",
    "faulthandler_timeout={limit_s}", "-o", "faulthandler_exit_on_timeout=true"{without}]
pytest_add_cli_args_test_selection = {tests}
use_git_change_detection = false
process_isolation = "forkserver"
"""


def removed(node: cst.Expr | cst.Raise) -> Iterable[cst.Pass]:
    """A call for its effect, such as os.fsync, or a refusal is left out; mutmut removes no statements itself."""
    if isinstance(node, cst.Raise) or isinstance(node.value, cst.Call):
        yield cst.Pass()


def unlocked(node: cst.WithItem) -> Iterable[cst.WithItem]:
    """A lock is not taken; locks and conditions have one of these names everywhere."""
    if cst.Module([]).code_for_node(node.item).endswith(("lock", "guard", "changed")):
        yield node.with_changes(item=cst.parse_expression("__import__('contextlib').nullcontext()"))


def names(node: cst.BaseString) -> list[cst.BaseString]:
    """Names and keys are changed, in one way; sentences and SQL, of which case or wording may be free, are not."""
    found = list(mutators.operator_string(node))
    return found[:1] if isinstance(node, cst.SimpleString) and " " not in node.value else []


def arguments(node: cst.Call) -> Iterable[cst.Call]:
    """What is logged besides the sentence may be free too; that something is logged is not: see `removed`."""
    if not cst.Module([]).code_for_node(node.func).startswith("log."):
        yield from mutators.operator_arg_removal(node)


def set_operators() -> None:
    instead = {mutators.operator_string: names, mutators.operator_arg_removal: arguments}
    mutators.mutation_operators[:] = [
        *((kind, instead.get(operator, operator)) for kind, operator in mutators.mutation_operators),
        *((cst.Expr, removed), (cst.Raise, removed), (cst.WithItem, unlocked)),
    ]


def source(module: str) -> Path:
    """Return where a module lies as a part of the package: in edgevit/, or by a link there."""
    return Path(module) if module.startswith("edgevit/") else Path("edgevit", module)


def work_folder(module: str, tests: list[str], left_out: list[str]) -> Path:
    """Make a folder of links to the project, in which mutmut is set to this module and its tests but those left out."""
    folder = ROOT / ".mutants" / module.removesuffix(".py").replace("/", ".")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("edgevit", "runtime", "tests", "docs", "tools", "README.md", "setup.cfg"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(ROOT / name)
    without = "".join(f', "--deselect={test}"' for test in left_out)
    config = CONFIG.format(module=source(module), tests=json.dumps(tests), without=without, limit_s=HANG_S)
    (folder / "pyproject.toml").write_text(config)
    return folder


def describe(mutant: str, path: Path) -> tuple[str, str, str]:
    """Return the function of a mutant, the lines that it changes and what it makes of them, without indentation."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.utils.format_utils import orig_function_and_class_names_from_key

    function, owner = orig_function_and_class_names_from_key(mutant)
    diff = get_diff_for_mutant(mutant, path=path).splitlines()[2:]
    old, new = ("\n".join(line[1:].strip() for line in diff if line[0] == sign) for sign in "-+")
    return f"{owner}.{function}" if owner else function, old, new


def set_sample(mutmut: Any, sample: str) -> None:
    """Let mutmut ask about some of the mutants only: so many of them, or REMOVALS."""
    collect = mutmut.collect_source_file_mutation_data

    def is_removal(mutant: str, path: Path) -> bool:
        *_, new = describe(mutant, path)
        return new == "pass" or "nullcontext()" in new

    def collect_some(**options: Any) -> Any:
        mutants, by_path = collect(**options)
        if sample == REMOVALS:
            return [one for one in mutants if is_removal(one[1], one[0].path)], by_path
        return random.Random(0).sample(mutants, min(int(sample), len(mutants))), by_path

    mutmut.collect_source_file_mutation_data = collect_some


def set_order(mutmut: Any) -> None:
    """Let the quickest tests run first; mutmut takes them as they come."""
    from mutmut.workers.isolation import ForkServerRunner

    submit = ForkServerRunner.submit

    def submit_ordered(runner: Any, mutant: str, tests: list[str], *limits: Any) -> Any:
        return submit(runner, mutant, sorted(tests, key=mutmut.state().duration_by_test.__getitem__), *limits)

    ForkServerRunner.submit = submit_ordered


def main(module: str, sample: str | None = None) -> int:
    modules = tomllib.loads((LISTS / "modules.toml").read_text())
    tests = modules["tests"]
    if module not in tests:
        print(f"no core module is called {module!r}; tests/mutants/modules.toml lists {', '.join(tests)}")
        return 2
    if sample is not None and sample != REMOVALS and not sample.isdecimal():
        print(f"the sample is {sample!r}, expected a number such as 40, or {REMOVALS}")
        return 2
    listed = {
        (one["function"], one["line"], mutant)
        for one in tomllib.loads((LISTS / "survivors.toml").read_text()).get(module, [])
        for mutant in one["mutants"]
    }
    os.chdir(work_folder(module, tests[module], modules["left_out"].get(module, [])))
    from mutmut import __main__ as mutmut  # reads its settings in the current folder

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # a third of the time of a quick mutant
    os.environ["EDGEVIT_TEST_PATIENCE_S"] = "15"
    set_operators()
    set_order(mutmut)
    data = SourceFileMutationData(path=source(module))
    data.load()
    for mutant, code in data.exit_code_by_key.items():
        if code in SURVIVED and describe(mutant, data.path) not in listed:
            data.exit_code_by_key[mutant] = None
    if data.exit_code_by_key:
        data.save()
    Path("mutants/mutmut-stats.json").unlink(missing_ok=True)  # tests may reach further now
    if sample is not None:
        set_sample(mutmut, sample)
    mutmut._run((), int(os.environ.get("JOBS", "1")))
    data.load()
    asked = {name: code for name, code in data.exit_code_by_key.items() if code is not None}
    survived = {describe(name, data.path) for name, code in asked.items() if code in SURVIVED}
    noticed = sum(code not in SURVIVED for code in asked.values())
    print(
        f"{module}: {len(data.exit_code_by_key)} mutants, {len(asked)} asked about, {noticed} noticed "
        f"({noticed / max(1, len(asked)):.1%}), {len(asked) - noticed} not"
    )
    for (function, old), same in itertools.groupby(sorted(survived - listed), lambda one: one[:2]):
        print(f'\n[["{module}"]]\nfunction = "{function}"\nline = {json.dumps(old)}')
        print(f'mutants = {json.dumps([new for *_, new in same])}\nreason = ""')
    gone = listed - survived if len(asked) == len(data.exit_code_by_key) else set()
    for function, old, _ in sorted(gone):
        print(f"\nlisted, but noticed now or no longer planted: {function}: {old}")
    return 1 if survived - listed or gone else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("give one module, such as runtime/delivery/spool.py")
    sys.exit(main(*sys.argv[1:]))
