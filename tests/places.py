"""Where things lie in a checkout, for tests in any folder."""

from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
DOCS = ROOT / "docs"
SHARED = ROOT.parent / "shared"
"""Reference outputs and photographs; tests that need them are skipped where there are none."""
MACHINES = TESTS / "data" / "machines"
"""What /proc tells on boards."""
