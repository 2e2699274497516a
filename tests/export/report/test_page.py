"""The report: every fact is on the page, nothing comes from elsewhere, and nothing in it is taken for markup."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevit.artifact.manifest import Calibration, Input, Manifest, Parity, Preprocess, Quantization, Weights
from edgevit.errors import OptionError, OutputError
from edgevit.export.report import markup
from edgevit.export.report.chart import draw_chart, tick_step
from edgevit.export.report.facts import FlippedImage, LayerFacts, ReportData, Score, SearchPoint
from edgevit.export.report.page import render, write_report
from edgevit.export.report.place import check_report_path
from edgevit.export.report.thumbnails import THUMBNAIL_SIDE, thumbnail
from edgevit.export.result import ExportResult
from edgevit.runtime.evaluation.report import Flip
from tests.places import DOCS

VOID = {"meta", "br", "img", "line", "polyline", "wbr"}
HOSTILE = '<script>alert("x")</script>&.jpg'


def facts() -> ReportData:
    calibration = Calibration("folder", 256, "percentile", 7, skipped=3)
    manifest = Manifest(
        model="tiny_net",
        task="classify",
        input=Input("image", (1, 3, 64, 96)),
        preprocess=Preprocess(size=(64, 96)),
        labels=("cat", "dog"),
        weights=Weights("pens.pt", "ab" * 32, "MIT", trained=True, note="2 classes"),
        precision="int8",
        target="rpi4",
        tools={"edgevit": "0.1.0", "torch": "2.13.0"},
        parity=(Parity("folding", 1.5e-6, 0.999999, 1.0, 64), Parity("int8", 0.21, 0.98765, 0.96875, 64)),
        quantization=Quantization("U8S8", 0.934, ("attention",), calibration),
        notes=("bias table resized",),
    )
    return ReportData(
        result=ExportResult(Path("tiny_net-int8.onnx"), manifest, 1.25, 4.5, latencies_ms=(5.0, 2.0)),
        score=Score("top-1 accuracy", 0.915, 0.9, 400, "from a folder", 31.26),
        points=(
            SearchPoint("float32", 0.0, 0.915),
            SearchPoint("every block int8", 0.97, 0.885),
            SearchPoint("1 block float", 0.934, 0.9, chosen=True),
        ),
        layers=(
            LayerFacts("stem.conv", "stem", "Conv", 3_000_000, True, "", 40.12, 22.22),
            LayerFacts("attention", "attention", "MatMul", 1_000_000, False, "both factors are computed", 33.3, None),
        ),
        flips=31,
        flipped=(
            FlippedImage(
                Flip(f"photos/cat/{HOSTILE}", "cat", "cat", 0.61, "dog", 0.72),
                thumbnail(np.full((30, 40, 3), 90, np.uint8)),
            ),
        ),
    )


class Page(HTMLParser):
    """Collects tags and text; an unbalanced tag is an error."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\u2009", " ").split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_every_figure_is_on_the_page() -> None:
    text = Page(render(facts())).text
    for figure in (
        "tiny_net int8", "tiny_net-int8.onnx", "2 classes", "64 × 96", "rpi4",
        "90.0 %", "float32 91.5 %, 400 images", "1.25 MB", "float32 4.50 MB, 3.6 times as much", "2.50 ×",
        "2.0 ms instead of 5.0 ms", "93.4 %", "31.3 dB", "31 of 400 images",
        "folding 100.0 % 0.999999 1.5e-06 64", "int8 96.9 % 0.987650 0.21 64",
        "every block int8 97.0 % 88.50 %", "1 block float (chosen) 93.4 % 90.00 %",
        "Conv 3.00 75.0 % 40.1 22.2 int8", "MatMul 1.00 25.0 % 33.3 – float both factors are computed",
        "cat 0.61 → dog 0.72", "is cat: was right",
        "pens.pt", "MIT", "ab" * 32, "U8S8, weights per channel",
        "256 images (folder), percentile, seed 7; 3 unreadable files skipped", "bias table resized",
        "edgevit 0.1.0, torch 2.13.0",
    ):  # fmt: skip
        assert figure in text, figure


def test_page_needs_nothing_but_itself() -> None:
    text = render(facts())
    page = Page(text)
    assert {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags} == set()
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text
    assert "@import" not in text
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("src") or "data:").startswith("data:")
        assert "href" not in attributes


def test_names_are_never_markup() -> None:
    hostile = facts()
    manifest = replace(
        hostile.result.manifest, model=HOSTILE, labels=(HOSTILE, "dog"), notes=(HOSTILE,), tools={HOSTILE: HOSTILE}
    )
    layer = replace(hostile.layers[0], name=HOSTILE, block=HOSTILE)
    result = replace(hostile.result, path=Path("out") / HOSTILE.replace("/", ""), manifest=manifest)
    page = Page(render(replace(hostile, result=result, layers=(layer,))))
    assert page.all("script") == []
    assert any(HOSTILE in (image["alt"] or "") for image in page.all("img"))
    assert page.text.count('alert("x")') >= 6


def test_page_can_be_read_aloud() -> None:
    page = Page(render(facts()))
    assert page.all("html")[0]["lang"] == "en"
    assert all(image.get("alt") for image in page.all("img"))
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))
    assert [drawing["role"] for drawing in page.all("svg")] == ["img"]
    assert "float32: 91.50 %. every block int8: 88.50 % with 97.0 % int8." in page.text
    assert page.all("meta")[1]["content"] == "width=device-width, initial-scale=1"


def test_page_follows_the_dark_mode() -> None:
    assert "@media (prefers-color-scheme: dark)" in render(facts())


def contrast(one: str, other: str) -> float:
    """Return the ratio of luminances of WCAG 2.2, 1..21."""

    def luminance(color: str) -> float:
        color = color.lstrip("#")
        digits = color if len(color) == 6 else "".join(2 * digit for digit in color)
        parts = np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_text_has_enough_contrast_by_day_and_night() -> None:
    """WCAG 2.2 asks for 4.5 at least."""
    styles = render(facts()).split(":root")[1:3]
    assert len(styles) == 2
    for style in styles:
        declared = style[style.index("{") + 1 : style.index("}")].split(";")
        color = {part.split(":")[0].strip(): part.split(":")[1].strip() for part in declared if ":" in part}
        pairs = [(text, back) for text in ("--ink", "--soft", "--alarm", "--float") for back in ("--paper", "--card")]
        for text, back in [*pairs, ("--int8", "--int8-back"), ("--float", "--float-back")]:
            assert contrast(color[text], color[back]) >= 4.5, (text, back)


def test_untrained_and_slow_models_say_so() -> None:
    report = facts()
    manifest = replace(report.result.manifest, weights=replace(report.result.manifest.weights, trained=False))
    slow = replace(report.result, manifest=manifest, latencies_ms=(5.0, 5.1))
    text = Page(render(replace(report, result=slow))).text
    assert "Random weights: the answers mean nothing." in text
    assert "On this machine float32 is as fast" in text


def test_float_export_has_no_int8_figures() -> None:
    report = facts()
    manifest = replace(report.result.manifest, quantization=None, precision="fp16")
    result = replace(report.result, manifest=manifest, latencies_ms=None)
    score = replace(report.score, measure="top-1 agreement with float32", logit_sqnr_db=None)
    points = (replace(report.points[0], chosen=True),)
    page = Page(render(replace(
        report, result=result, score=score, points=points, flips=0, flipped=()
    )))  # fmt: skip
    assert page.all("svg") == []
    assert "Output SQNR" not in page.text
    assert "In int8" not in page.text
    assert "Speed" not in page.text
    assert "None: all 400 images get float32's answer." in page.text


def test_page_and_json_are_written_together(tmp_path: Path) -> None:
    write_report(facts(), tmp_path / "report.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render(facts())
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["schema"] == 1
    assert found["speedup"] == 2.5
    assert found["manifest"]["quantization"]["int8_mac_share"] == 0.934
    assert found["layers"][0]["sqnr_db"] == 40.12
    assert found["flipped"] == [
        {"source": f"photos/cat/{HOSTILE}", "label": "cat", "before": "cat", "before_conf": 0.61}
        | {"after": "dog", "after_conf": 0.72}
    ]


def test_every_key_of_the_json_is_documented() -> None:
    text = (DOCS / "report.md").read_text()
    found = facts().to_dict()
    keys = {*found, *found["score"], *found["points"][0], *found["layers"][0], *found["flipped"][0]}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


def test_file_name_that_is_not_text_is_still_written(tmp_path: Path) -> None:
    report = facts()
    odd = FlippedImage(replace(report.flipped[0].flip, source="caf\udce9.jpg"), report.flipped[0].thumbnail)
    write_report(replace(report, flipped=(odd,)), tmp_path / "report.html")
    assert "caf?.jpg" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_report_path_is_checked_before_the_work(tmp_path: Path) -> None:
    check_report_path(tmp_path / "a.html")
    with pytest.raises(OptionError, match=r"a.pdf does not end in .html"):
        check_report_path(tmp_path / "a.pdf")
    with pytest.raises(OutputError, match="the folder .*none does not exist; make it first"):
        check_report_path(tmp_path / "none" / "a.html")


def test_report_replaces_an_earlier_report_and_nothing_else(tmp_path: Path) -> None:
    page, figures = tmp_path / "pens.html", tmp_path / "pens.json"
    write_report(facts(), page)
    write_report(facts(), page)
    for text in (json.dumps({"model": "tiny_net", "accuracy": {"top1": 0.9}}), '["cat", "dog"]', "not JSON"):
        figures.write_text(text)
        check_report_path(page)
        with pytest.raises(OptionError, match=r"would replace .*pens.json, which no report wrote; give another name"):
            check_report_path(page, figures=True)
        assert figures.read_text() == text
    figures.unlink()
    page.write_text("<!doctype html><title>tiny_net: training</title>")
    with pytest.raises(OptionError, match=r"pens.html is a file that no report wrote; give another name"):
        check_report_path(page)
    page.write_text(markup.page("of a validation", "", ""))
    check_report_path(page, figures=True)


def test_place_that_is_a_folder_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "a.html").mkdir()
    (tmp_path / "b.json").mkdir()
    with pytest.raises(OutputError, match=r"a.html is a folder; give a file name"):
        check_report_path(tmp_path / "a.html")
    with pytest.raises(OutputError, match=r"b.json, for its figures, is a folder; give a file name"):
        check_report_path(tmp_path / "b.html", figures=True)


def test_thumbnail_is_small_and_keeps_the_colors() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3)).astype(np.uint8)
    assert len(thumbnail(noise)) < 20_000
    found = cv2.imdecode(np.frombuffer(thumbnail(np.full((300, 400, 3), (200, 50, 25), np.uint8)), np.uint8), 1)
    assert found is not None
    assert found.shape == (THUMBNAIL_SIDE * 3 // 4, THUMBNAIL_SIDE, 3)
    assert np.abs(found[0, 0].astype(int) - (25, 50, 200)).max() <= 3


def test_chart_has_its_points_between_its_axes() -> None:
    chart = draw_chart(facts().points)
    assert chart is not None
    assert [tick.text for tick in chart.columns] == ["90%", "92%", "94%", "96%", "98%", "100%"]
    whole, chosen = chart.marks
    # 97 % lies 0.7 of the way from 90 % to 100 %
    assert whole.x == pytest.approx(chart.left + 0.7 * (chart.right - chart.left))
    assert chart.top < chart.float32 < chosen.y < whole.y < chart.bottom
    # a step of one point: 88.5, 90 and 91.5 % lie equally far from each other
    assert chosen.y - chart.float32 == pytest.approx(whole.y - chosen.y)
    assert draw_chart(facts().points[:1]) is None


def test_chart_starts_lower_where_little_is_int8() -> None:
    chart = draw_chart((SearchPoint("float32", 0.0, 1.0), SearchPoint("this file", 0.42, 0.98, chosen=True)))
    assert chart is not None
    assert chart.columns[0].text == "40%"
    assert all(float(tick.text.rstrip("%")) <= 100 for tick in chart.rows)


@pytest.mark.parametrize(("span", "step"), [(0.0, 0.0005), (0.004, 0.001), (0.03, 0.01), (0.07, 0.02), (0.5, 0.2)])
def test_grid_lines_lie_at_round_numbers(span: float, step: float) -> None:
    assert tick_step(span) == pytest.approx(step)
