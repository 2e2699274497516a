"""A run's page: counts, certainty, confusions and the worst photos, in one file that fetches nothing."""

import re
from pathlib import Path

import cv2
import numpy as np

from edgevit.artifact.manifest import HeldOut
from edgevit.training.accuracy import Accuracy, Mistake
from edgevit.training.data import Data
from edgevit.training.drawing import draw_curve
from edgevit.training.folders import Samples
from edgevit.training.page import write_page

FACTS = {"started_from": "random weights", "freeze": False, "command": "edgevit train x", "recipe": {"seed": 0}}
LOG = [{"epoch": i, "loss": 2.0 / i, "top1": i / 4} for i in (1, 2, 3)]


def written(tmp_path: Path) -> str:
    cv2.imwrite(str(tmp_path / "cow.png"), np.full((20, 20, 3), 90, np.uint8))
    classes = ("cow <b>", "pig")
    train = Samples((Path("a"),) * 5, (0, 0, 0, 1, 1), classes)
    val = Samples((tmp_path / "cow.png",) * 4, (0, 0, 0, 1), classes)
    mistakes = (Mistake(str(tmp_path / "cow.png"), "cow <b>", "pig", 0.87),)
    quality = Accuracy(0.75, 0.83, {"cow <b>": 0.6667, "pig": 1.0}, 4, classes, ((2, 1), (0, 1)), mistakes)
    write_page(tmp_path / "run.html", "sbcformer_xs", Data(train, val, HeldOut("hash", 4, 5)), quality, LOG, FACTS)
    return (tmp_path / "run.html").read_text()


def test_the_page_tells_counts_certainty_and_the_worst_photos(tmp_path: Path) -> None:
    page = written(tmp_path)
    assert "75 % of the held-out images are right" in page
    # 3 of 4 by Wilson's formula: center (0.75 + 0.4802) / 1.9604 = 0.6275, half 0.3269
    assert "4 images: 75% plus or minus 33 (with 95% certainty 30% to 95%)" in page
    assert "cow &lt;b&gt;, taken for <b>pig</b> (87 %)" in page
    assert page.count("data:image/jpeg;base64,") == 1
    assert page.count("<polyline") == 2  # loss, and held-out accuracy
    assert '<td>pig</td><td class="number">2</td>' in page


def test_the_page_fetches_nothing(tmp_path: Path) -> None:
    page = written(tmp_path)
    assert "default-src 'none'" in page
    assert not re.search(r"<script|https?://|(src|href)=\"(?!data:)", page)


def test_a_curve_starts_at_zero_and_ends_at_the_right() -> None:
    curve = draw_curve("loss", [(1, 1.0), (2, 2.0), (4, 4.0)], percent=False)
    assert [tick.text for tick in curve.rows] == ["0", "1", "2", "3", "4"]
    assert curve.last == (curve.right, curve.top)
    assert [tick.text for tick in curve.columns] == ["0", "1", "2", "3", "4"]
