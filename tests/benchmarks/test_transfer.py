"""The yardstick of transfer: what is judged by stays the same, and each start, its probe and the mark have a line."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.transfer import draw, main, spread
from edgevit.runtime.datasets.folder import read_folder
from tests.made_photos import write_photos
from tests.training.made_teacher import write_teacher


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make two classes of 20 noisy pictures."""
    return write_photos(tmp_path_factory.mktemp("data") / "colours", 20)


def test_seeds_draw_other_photos_and_are_judged_by_the_same(data: Path) -> None:
    folder = read_folder(data, "classes")
    first, again, second = (draw(folder, photos=4, judged=5, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.held == second.held
    assert first.train.paths != second.train.paths
    for task in (first, second):
        assert task.train.counts() == (4, 4)
        assert task.held.counts() == (5, 5)
        assert not {*task.train.paths} & {*task.held.paths}
        assert not {*task.others} & {*task.train.paths, *task.held.paths}
        assert task.others
        assert all(
            path.parent.name == task.train.classes[label]
            for path, label in zip(task.train.paths, task.train.labels, strict=True)
        )


def test_a_part_val_is_what_is_judged_by(data: Path, tmp_path: Path) -> None:
    for part, count in (("train", 5), ("val", 3)):
        for name in ("blue", "red"):
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(count):
                source = data / name / f"{i if part == 'train' else 10 + i}.png"
                (tmp_path / part / name / f"{part}{i}.png").symlink_to(source)
    task = draw(read_folder(tmp_path, "classes"), photos=9, judged=2, seed=0)
    assert task.train.counts() == (5, 5)
    assert task.held.counts() == (2, 2)
    assert all(path.parent.parent.name == "val" for path in task.held.paths)


def test_what_is_left_out_is_told_before_anything_is_trained(data: Path, tmp_path: Path) -> None:
    home = tmp_path / "few"
    for part, counts in (("train", {"blue": 5, "green": 2, "red": 2}), ("val", {"blue": 3, "red": 3})):
        for name, count in counts.items():
            (home / part / name).mkdir(parents=True)
            for i in range(count):
                number = i + {"train": 0, "val": 10}[part] + (15 if name == "green" else 0)
                source = data / name.replace("green", "red") / f"{number}.png"
                (home / part / name / f"{part}{i}.png").symlink_to(source)
    damaged = home / "val" / "blue" / "damaged.png"
    damaged.write_bytes(b"no picture")
    mark = write_teacher(tmp_path / "colours.onnx")
    options = ["--photos", "4", "--seeds", "1", "--imgsz", "32", "--starts", "nothing", "--mark", str(mark)]
    done = CliRunner().invoke(main, [str(home), *options], catch_exceptions=False)
    green, fault = done.stderr.splitlines()
    assert green == "green is left out: there are no photos both to train on and to judge by"
    assert fault.startswith(f"left out: {damaged}")
    lines = done.stdout.splitlines()
    assert lines[0] == "few: efficientvit_b0, 2 classes, 2 to 4 photos each, 32 px, 6 judged"
    assert lines[-1].split()[:4] == ["colours.onnx", "-", "-", "100.0"]


def test_a_spread_is_mean_and_deviation() -> None:
    # deviations of 2 from 50: the root of (4 + 4) / 1
    assert spread([(48.0, 10.0), (52.0, 20.0)]).split() == ["50.0", "+-", "2.8", "15"]
    assert spread([]).split() == ["-", "-"]


def test_each_start_and_the_mark_have_a_line(data: Path, tmp_path: Path) -> None:
    mark = write_teacher(tmp_path / "colours.onnx")
    options = ["--photos", "3", "--judged", "4", "--seeds", "1", "--imgsz", "32", "--epochs", "1"]
    starts = ["--starts", "cifar10,random,nothing", "--mark", str(mark), "--taught"]
    done = CliRunner().invoke(main, [str(data), *options, *starts], catch_exceptions=False)
    lines = done.output.splitlines()
    assert lines[0] == "colours: efficientvit_b0, 2 classes, 3 photos each, 32 px, 8 judged"
    cifar10, taught, scratch, scratch_taught, nothing, colours = (line.split() for line in lines[2:])
    assert (cifar10[0], len(cifar10)) == ("cifar10", 9)
    assert [(*line[:2], len(line)) for line in (taught, scratch_taught)] == [
        ("cifar10,", "taught", 6),
        ("random,", "taught", 6),
    ]
    assert (scratch[0], scratch[5:]) == ("random", ["-", "-"])
    assert " ".join(nothing).startswith("nothing cannot be had: no weights for efficientvit_b0 named 'nothing'")
    # the mean colour is what the mark's last layer is given, and that tells red from blue
    assert colours[:4] == ["colours.onnx", "-", "-", "100.0"]


def test_without_a_mark_nothing_teaches(data: Path) -> None:
    done = CliRunner().invoke(main, [str(data), "--taught"])
    assert done.exit_code == 2
    assert "--taught needs a teacher; give --mark FILE" in done.output
