"""The split of training and judging pictures: by path alone, with every class on both sides, and found again."""

import hashlib
import random
from pathlib import Path

import pytest

from edgevit.errors import DataError
from edgevit.runtime.datasets.folder import read_folder
from edgevit.runtime.datasets.judged import choose_judged
from edgevit.runtime.datasets.seen import are_seen, is_held_out
from edgevit.runtime.datasets.split import Split, find_exceptions, split_folder


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def split(folder: Path, fraction: float = 0.1) -> Split:
    return split_folder(read_folder(folder, "classes"), fraction)


def share(name: str) -> float:
    """Return the picture's hash by the rule in docs/artifact.md."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) / 2**64


def test_a_picture_is_held_out_by_its_path_alone(tmp_path: Path) -> None:
    names = [f"{kind}/{i}.jpg" for kind in ("cow", "pig") for i in range(100)]
    found = split(make(tmp_path / "here", *names), 0.2)
    assert set(found.held_out.names) == {name for name in names if share(name) < 0.2}
    assert set(found.train.names) == {name for name in names if share(name) >= 0.2}
    assert found.record.exceptions == ()
    assert (found.record.split, found.record.fraction) == ("hash", 0.2)
    assert (found.record.images, found.record.trained) == (len(found.held_out.paths), len(found.train.paths))
    assert split(make(tmp_path / "elsewhere", *reversed(names)), 0.2).held_out.names == found.held_out.names


@pytest.mark.parametrize("seed", range(20))
def test_every_class_with_two_pictures_is_on_both_sides(seed: int) -> None:
    rng = random.Random(seed)
    classes = [f"c{rng.randrange(8)}" for _ in range(40)]
    names = [f"{kind}/{i}.jpg" for i, kind in enumerate(classes)]
    fraction = rng.choice([0.01, 0.1, 0.5, 0.9])
    exceptions = find_exceptions(names, classes, fraction)
    for kind in set(classes):
        own = [
            is_held_out(name, fraction, exceptions) for name, other in zip(names, classes, strict=True) if other == kind
        ]
        assert set(own) == ({True, False} if len(own) > 1 else {False})


@pytest.mark.parametrize("seed", range(20))
def test_adding_pictures_moves_none_of_the_old_ones_in_what_was_recorded(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    old = {f"{rng.choice('abcde')}/{rng.randrange(1000)}.jpg" for _ in range(30)}
    folder = make(tmp_path, *old)
    before = split(folder)
    new = {f"{rng.choice('abcdef')}/new{i}.jpg" for i in range(30)}
    seen = are_seen(read_folder(make(folder, *new), "classes"), before.record)
    assert seen is not None
    names = read_folder(folder, "classes").parts["all"].names
    now = dict(zip(names, seen["all"], strict=True))
    assert {name for name in old if now[name]} == set(before.train.names)
    assert {name for name in old if not now[name]} == set(before.held_out.names)


def test_what_the_first_weights_have_seen_is_not_held_out_from_those_that_start_from_them(tmp_path: Path) -> None:
    folder = read_folder(make(tmp_path, *(f"{kind}/{i}.jpg" for kind in "ab" for i in range(50))), "classes")
    first = split_folder(folder, 0.1)
    second = split_folder(folder, 0.5, [first.record])
    assert len(split_folder(folder, 0.5).held_out.names) > 30
    assert second.held_out.names == first.held_out.names
    assert choose_judged(folder, [("m", second.record)]).pictures.names == first.held_out.names


def test_a_part_val_is_held_out_and_a_part_test_is_in_no_role(tmp_path: Path) -> None:
    make(tmp_path, "train/a/1.jpg", "train/b/2.jpg", "valid/a/3.jpg", "test/b/4.jpg")
    found = split(tmp_path)
    assert (found.train.names, found.held_out.names) == (("a/1.jpg", "b/2.jpg"), ("a/3.jpg",))
    assert (found.record.split, found.record.images, found.record.trained) == ("folder", 1, 2)


def test_a_part_test_without_val_is_not_split(tmp_path: Path) -> None:
    make(tmp_path, *(f"train/a/{i}.jpg" for i in range(50)), "test/a/0.jpg")
    found = split(tmp_path)
    assert len(found.train.names) + len(found.held_out.names) == 50
    assert found.held_out.home == tmp_path / "train"


def test_parts_without_train_cannot_be_trained_on(tmp_path: Path) -> None:
    make(tmp_path, "val/images/1.jpg", "test/images/1.jpg")
    with pytest.raises(DataError, match="holds val and test but no train"):
        split_folder(read_folder(tmp_path, "masks"), 0.1)


def test_the_training_folder_is_known_again_wherever_it_lies(tmp_path: Path) -> None:
    names = [f"{kind}/{i}.jpg" for kind in "ab" for i in range(30)]
    record = split(make(tmp_path / "photos", *names)).record
    (tmp_path / "photos").rename(tmp_path / "moved")
    assert are_seen(read_folder(tmp_path / "moved", "classes"), record) is not None
    other = make(tmp_path / "other", *names)
    for path in other.rglob("*.jpg"):
        path.write_bytes(b"another picture of the same name")
    assert are_seen(read_folder(other, "classes"), record) is None
    assert are_seen(read_folder(other, "classes"), None) is None


def test_judging_takes_what_was_held_out(tmp_path: Path) -> None:
    found = split(make(tmp_path, *(f"{kind}/{i}.jpg" for kind in "ab" for i in range(50))))
    folder = read_folder(tmp_path, "classes", ("a", "b"))
    judged = choose_judged(folder, [("m", found.record)])
    assert judged.pictures.names == found.held_out.names
    assert (judged.of, judged.trained_on, judged.doubts) == (100, 0, ())
    assert str(judged) == f"{len(found.held_out.paths)} pictures that were not trained on"
    every = choose_judged(folder, [("m", found.record)], every=True)
    assert (len(every.seen), every.trained_on) == (100, len(found.train.paths))
    assert str(every) == f"100 pictures, {len(found.train.paths)} of which were trained on"
    assert sum(map(bool, every.draw(10).seen)) == every.draw(10).trained_on


def test_a_picture_that_any_model_was_trained_on_judges_none(tmp_path: Path) -> None:
    make(tmp_path, *(f"{kind}/{i}.jpg" for kind in "ab" for i in range(50)))
    small, large = split(tmp_path, 0.2), split(tmp_path, 0.5)
    folder = read_folder(tmp_path, "classes", ("a", "b"))
    judged = choose_judged(folder, [("small", small.record), ("large", large.record)])
    assert set(judged.pictures.names) == set(small.held_out.names) & set(large.held_out.names)
    assert judged.trained_on == 0


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_part_that_is_named_itself_is_known_by_train_beside_it(tmp_path: Path, part: str) -> None:
    make(tmp_path, *(f"{p}/a/{p}{i}.jpg" for p in ("train", "val", "test") for i in range(5)))
    record = split(tmp_path).record
    judged = choose_judged(read_folder(tmp_path / part, "classes", ("a",)), [("m", record)])
    assert (len(judged.seen), judged.trained_on) == (5, 0)
    trained = choose_judged(read_folder(tmp_path / "train", "classes", ("a",)), [("m", record)])
    assert (len(trained.seen), trained.trained_on) == (5, 5)


def test_what_cannot_be_known_is_not_called_held_out(tmp_path: Path) -> None:
    make(tmp_path, *(f"val/a/{i}.jpg" for i in range(5)))
    judged = choose_judged(read_folder(tmp_path, "classes", ("a",)), [("m.onnx", None)])
    assert (judged.trained_on, str(judged)) == (None, "5 pictures that may have been trained on")
    assert judged.doubts == ("m.onnx does not say which pictures it was trained on",)
    elsewhere = split(make(tmp_path / "elsewhere", *(f"a/x{i}.jpg" for i in range(9)))).record
    judged = choose_judged(read_folder(tmp_path, "classes", ("a",)), [("m.onnx", elsewhere)])
    assert judged.trained_on is None
    assert "m.onnx was trained on other pictures than those of" in judged.doubts[0]
