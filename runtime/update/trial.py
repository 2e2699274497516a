"""A new model on trial: taken by the service, watched until it gives results, and confirmed; else swapped back."""

import dataclasses
import enum

from edgevit.runtime.update.board import Board, Step, Trial
from edgevit.runtime.update.slots import digest
from edgevit.runtime.update.state import Release

RESTARTS = 3
"""A model with which the service was started so often, without enough results between, does not work."""


class Outcome(enum.Enum):
    """What became of a model in the service."""

    RUNS = "runs"
    ABSENT = "absent"
    """Nobody has started the service, or it runs something else: nothing can be said of the model."""
    FAILED = "failed"
    SILENT = "silent"
    """It is loaded, and gives no results: that may be the camera's fault."""


def finish_trial(board: Board) -> None:
    """Go on with what an earlier check began: it was killed, or the service gave no results yet."""
    trial = board.trial()
    if trial is None:
        return
    found = digest(board.slots.model)
    if trial.verdict is not None:
        board.reached(Step.CONFIRM)
        _roll_back(board, trial, trial.verdict)
    elif found == trial.new.sha256:
        conclude(board, trial)
    elif trial.old is not None and found == trial.old.sha256:
        # it was killed before the swap
        board.write_trial(None)


def conclude(board: Board, trial: Trial) -> None:
    """Have the service take the model on trial, and watch it; swap it back if it does not work."""
    board.reached(Step.RELOAD)
    outcome, why = _bring_up(board, trial.new.sha256)
    if outcome is Outcome.RUNS:
        board.reached(Step.RESULTS)
        outcome, why = _watch(board, trial.new.sha256)
    board.reached(Step.CONFIRM)
    if outcome is Outcome.RUNS:
        if board.bad(trial.new.sha256):
            board.forget_bad(trial.new.sha256)
        board.write_trial(None)
        board.note("confirmed", installed=trial.new)
    elif outcome is Outcome.ABSENT or (outcome is Outcome.SILENT and not trial.gave_results):
        board.note("installed", installed=trial.new, error=why)
    elif trial.old is None or digest(board.slots.previous) != trial.old.sha256:
        board.note("failed", installed=trial.new, error=f"{why}; there is no model before it to go back to")
    else:
        _roll_back(board, trial, why, silent=outcome is Outcome.SILENT)


def _roll_back(board: Board, trial: Trial, why: str, *, silent: bool = False) -> None:
    """Bring the model before back, and never try the new one again; each line may be the last one of this check."""
    assert trial.old is not None
    board.write_trial(dataclasses.replace(trial, verdict=why))
    board.remember_bad(trial.new.sha256, why)
    if digest(board.slots.model) == trial.new.sha256:
        board.slots.swap_back()
    board.note("rolled back", installed=_known(trial.old), error=why)
    outcome, text = _bring_up(board, trial.old.sha256)
    if outcome is Outcome.RUNS and silent and _watch(board, trial.old.sha256)[0] is Outcome.SILENT:
        board.forget_bad(trial.new.sha256)
        why = f"{why}, and none from the model before: look at the camera; the next check tries again"
    elif outcome is Outcome.FAILED:
        why = f"{why}; and with the model before it: {text}"
    board.write_trial(None)
    board.note("rolled back", installed=_known(trial.old), error=why)


def _known(release: Release) -> Release | None:
    """Return a release that came from the site."""
    return release if release.version else None


def _bring_up(board: Board, sha256: str) -> tuple[Outcome, str]:
    """Have the service take the model's file: by a reload, or where that is refused, by a new start."""
    status = board.service.status()
    if status is not None and status.sha256 == sha256:
        return Outcome.RUNS, ""
    if why := board.why_nothing_can_be_said(status):
        return Outcome.ABSENT, why
    refused = ""
    if status is not None:
        earlier = status.reload_error
        board.service.reload()

        def answered() -> bool:
            nonlocal refused
            now = board.service.status()
            if now is not None and now.reload_error not in (None, earlier):
                refused = now.reload_error or ""
            return bool(refused) or (now is not None and now.sha256 == sha256)

        if board.wait(board.patience.reload_s, answered) and not refused:
            return Outcome.RUNS, ""
        board.tell(f"the service was not reloaded ({refused or 'no answer'}); it is started anew")
    board.service.restart()
    if board.wait(board.patience.start_s, lambda: board.runs(sha256)):
        return Outcome.RUNS, ""
    return Outcome.FAILED, f"the service does not start with it{f' ({refused})' if refused else ''}"


def _watch(board: Board, sha256: str) -> tuple[Outcome, str]:
    """Wait for results of a model that the service has loaded."""
    needed, limit_s = board.patience.results, board.patience.results_s
    processes: set[int] = set()
    results = 0

    def decided() -> bool:
        nonlocal results
        status = board.service.status()
        if status is not None and status.sha256 == sha256:
            processes.add(status.pid)
            results = status.results
        return results >= needed or len(processes) >= RESTARTS

    board.wait(limit_s, decided)
    if results >= needed:
        return Outcome.RUNS, ""
    if len(processes) >= RESTARTS or not board.runs(sha256):
        return Outcome.FAILED, f"the service ends with it, last after {results} results"
    return Outcome.SILENT, f"{results} results within {limit_s:g} s, expected {needed}"
