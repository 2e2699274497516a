"""What edgevit uses of tuf beyond its public names is there in every version that setup.cfg allows."""

import datetime
from pathlib import Path

from tuf.ngclient import Updater

from edgevit.runtime.update.fetch import SiteFetcher
from tests.made_signed_site import MadeSite
from tests.made_update_board import BOUNDS

ADVICE = "is gone from this version of tuf: find another way, or hold tuf back in setup.cfg"


def test_tuf_has_the_time_that_a_board_raises_and_the_documents_that_it_trusts(site: MadeSite, tmp_path: Path) -> None:
    """Without `reference_time` nothing would fail: a board that wakes up in 1970 would believe an expired site."""
    root = site.first_root.encode()
    updater = Updater(str(tmp_path), "http://127.0.0.1/metadata/", fetcher=SiteFetcher(BOUNDS), bootstrap=root)
    trusted = getattr(updater, "_trusted_set", None)
    assert trusted is not None, f"Updater._trusted_set {ADVICE}"
    time = getattr(trusted, "reference_time", None)
    assert isinstance(time, datetime.datetime), f"Updater._trusted_set.reference_time {ADVICE}"
    for name in ("root", "timestamp", "snapshot"):
        assert hasattr(type(trusted), name), f"Updater._trusted_set.{name} {ADVICE}"


def test_fetcher_of_tuf_has_what_asks_through_proxies() -> None:
    proxies = getattr(SiteFetcher(BOUNDS), "_proxy_env", None)
    assert callable(getattr(proxies, "request", None)), f"Urllib3Fetcher._proxy_env.request {ADVICE}"
