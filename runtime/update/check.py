"""`edgevit update` as a library call: is there a newer model, is it for this board, and does it work here?"""

import time
from collections.abc import Callable
from pathlib import Path

from edgevit.errors import UpdateError
from edgevit.runtime.moment import iso_time
from edgevit.runtime.update.board import Board, Patience, Step, Trial, locked
from edgevit.runtime.update.enrollment import Enrollment
from edgevit.runtime.update.fetch import Bounds, SiteFetcher
from edgevit.runtime.update.floor import read_floor, write_floor
from edgevit.runtime.update.install import install
from edgevit.runtime.update.offer import Edition, Offer
from edgevit.runtime.update.proof import ProofBounds
from edgevit.runtime.update.service import Service
from edgevit.runtime.update.site import ask_site
from edgevit.runtime.update.slots import digest
from edgevit.runtime.update.state import Release, UpdateState
from edgevit.runtime.update.trial import conclude, finish_trial
from edgevit.system.identity import serial_number


def check(
    enrollment: Enrollment,
    service: Service,
    *,
    address: str | None = None,
    retry: bool = False,
    tell: Callable[[str], None] = lambda line: None,
    reached: Callable[[Step], None] = lambda step: None,
    bounds: Bounds | None = None,
    patience: Patience | None = None,
    proof: ProofBounds | None = None,
    now_s: Callable[[], float] = time.time,
    root: Path = Path("/"),
) -> UpdateState:
    """Look for a newer model once, and run it if it is signed, meant for this board, and works.

    Args:
        enrollment: of the board.
        service: runs the model.
        address: of another copy of the site, such as file:///media/stick; None for the enrolment's.
        retry: try a model once more that did not work here.
        tell: takes lines for the journal.
        reached: is told each step as it begins.
        bounds: of what is fetched.
        patience: with the service.
        proof: bounds of the self-test.
        now_s: this machine's clock, as Unix time.
        root: where the machine's files are.

    Returns:
        The state as it is on the disk now; its `error` says why a model was rolled back, or not confirmed yet.

    Raises:
        UpdateError: the site cannot be asked, its model is not fit to run, another check is running, or the folder
            cannot be written. What runs is as it was, and the state on the disk says why.
    """
    reached(Step.LOCK)
    folder = enrollment.into
    try:
        board = Board(enrollment, service, tell, reached, patience or Patience(), proof or ProofBounds())
        with locked(board.folder):
            try:
                finish_trial(board)
                _look(board, address or enrollment.site, bounds or Bounds(), now_s, serial_number(root), retry)
            except UpdateError as error:
                board.note("installed" if board.is_on_trial() else "failed", error=error.command_line_text)
                raise
            return board.state
    except OSError as error:
        raise UpdateError(f"{folder} cannot be written: {error.strerror or error}; look at the card") from error


def _look(board: Board, address: str, bounds: Bounds, now_s: Callable[[], float], serial: str, retry: bool) -> None:
    board.reached(Step.CLOCK)
    path, clock_s = board.folder / "floor.json", now_s()
    known = read_floor(path)
    board.reached(Step.REFRESH)
    fetcher = SiteFetcher(bounds)
    offer, floor = ask_site(board.enrollment, address, fetcher, board.folder / "metadata", known, clock_s)
    write_floor(path, floor, known)
    board.reached(Step.PERCENT)
    wanted = _wanted(board, offer, serial)
    board.saw(Release(offer.newest.version, offer.newest.sha256), iso_time(known.time_s(clock_s)))
    board.slots.tidy(None if wanted is None else wanted.sha256)
    if wanted is None:
        board.note("waiting")
    elif digest(board.slots.model) == wanted.sha256:
        _settle(board, wanted, offer)
    elif (why := board.bad(wanted.sha256)) and not retry:
        board.note("rolled back", error=f"{why}; `edgevit update --retry` tries it once more")
    else:
        install(board, wanted, address, fetcher, bounds)


def _wanted(board: Board, offer: Offer, serial: str) -> Edition | None:
    """Return what the board should run. Its name alone does not do: copies of one card were enrolled as one."""
    name = board.enrollment.board
    wanted, by_name = offer.wanted(name + serial), offer.wanted(name)
    # an earlier version went by the name: who got the newest model then does not go back
    runs_newest = by_name == offer.newest and digest(board.slots.model) == offer.newest.sha256
    return by_name if runs_newest else wanted


def _settle(board: Board, wanted: Edition, offer: Offer) -> None:
    """Note that the wanted file is there; it is current only if the service says that it is what runs."""
    release = Release(wanted.version, wanted.sha256)
    if board.is_on_trial():
        # that was tried again at the beginning of this check, without an answer
        board.note(board.state.state, error=board.state.error, installed=release)
        return
    board.write_trial(None)
    status = board.service.status()
    if status is not None and status.sha256 == wanted.sha256:
        board.note("current" if wanted == offer.newest else "waiting", installed=release)
        return
    trial = Trial(release, None, gave_results=False)
    board.write_trial(trial)
    board.note("installed", installed=release)
    conclude(board, trial)
