"""A newer model onto the disk: fetched, checked against its signature, tested, and swapped in."""

import shutil
from pathlib import Path

from edgevit.errors import UpdateError
from edgevit.runtime.board.status import BoardStatus
from edgevit.runtime.update.board import Board, Step, Trial
from edgevit.runtime.update.fetch import Bounds, SiteFetcher
from edgevit.runtime.update.offer import Edition, check_length
from edgevit.runtime.update.proof import prove
from edgevit.runtime.update.site import fetch_model
from edgevit.runtime.update.slots import digest
from edgevit.runtime.update.state import Release
from edgevit.runtime.update.trial import conclude

SPARE = 16 << 20
"""Bytes that stay free on the disk."""


def install(board: Board, edition: Edition, address: str, fetcher: SiteFetcher, bounds: Bounds) -> None:
    """Put a model in place of the one that runs, watch it, and swap it back if it does not work.

    Raises:
        UpdateError: it cannot be had, or failed its self-test; what runs is as it was.
    """
    before = board.service.status()
    off = before is None and board.service.condition() == "off"
    if not off and (why := board.why_nothing_can_be_said(before)):
        raise UpdateError(why)
    newer = board.slots.next(edition.sha256)
    _check_room(edition, newer, bounds)
    board.note("downloading")
    board.reached(Step.DOWNLOAD)
    fetch_model(board.enrollment, address, fetcher, edition, newer)
    board.note("testing")
    board.reached(Step.SELFTEST)
    try:
        prove(newer, board.proof)
    except UpdateError as error:
        # before the file goes, so that a kill between does not fetch it again
        board.remember_bad(edition.sha256, error.command_line_text)
        newer.unlink()
        raise
    gave_results = _gives_results(board, before)
    board.reached(Step.SWAP)
    trial, keep = _plan(board, edition, gave_results)
    board.write_trial(trial)
    newer.chmod(0o644)
    board.slots.swap(newer, keep=keep)
    board.note("installed", installed=trial.new)
    conclude(board, trial)


def _check_room(edition: Edition, newer: Path, bounds: Bounds) -> None:
    check_length(edition.length, bounds.largest)
    lacking = edition.length - (newer.stat().st_size if newer.exists() else 0) + SPARE
    free = shutil.disk_usage(newer.parent).free
    if free < lacking:
        raise UpdateError(f"{newer.parent} has {free:,} bytes free, and {lacking:,} are needed; free some space")


def _gives_results(board: Board, before: BoardStatus | None) -> bool:
    """Tell whether the model that runs gives results, so that silence of the next one is its own fault."""
    if before is None:
        return False

    def grown() -> bool:
        now = board.service.status()
        return now is not None and now.pid == before.pid and now.results > before.results

    return board.wait(board.patience.before_s, grown)


def _plan(board: Board, edition: Edition, gave_results: bool) -> tuple[Trial, bool]:
    """Return the trial of a model, and whether what runs now is worth being kept as the one before."""
    new = Release(edition.version, edition.sha256)
    unfinished = board.trial()
    if unfinished is not None:
        # what runs now was never confirmed: the one before it stays the one to go back to
        return Trial(new, unfinished.old, gave_results or unfinished.gave_results), False
    found, installed = digest(board.slots.model), board.state.installed
    if found is not None and (installed is None or found == installed.sha256 or board.runs(found)):
        version = installed.version if installed is not None and installed.sha256 == found else 0
        return Trial(new, Release(version, found), gave_results), True
    # what lies there was damaged
    kept = digest(board.slots.previous)
    return Trial(new, None if kept is None else Release(0, kept), gave_results), False
