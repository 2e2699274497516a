"""What a model was trained on is known wherever in its folder it lies now, and judges nothing."""

from pathlib import Path

import pytest

from edgevit.errors import DataError
from edgevit.runtime.datasets.folder import Layout, PictureFolder, read_folder
from edgevit.runtime.datasets.judged import Judged, choose_judged
from edgevit.runtime.datasets.seen import are_seen, is_held_out
from edgevit.runtime.datasets.split import SAMPLE, Split, split_folder
from tests.made_labels import make_pictures, write

KINDS = ("cow", "pig")


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def read(folder: Path) -> PictureFolder:
    return read_folder(folder, "classes", KINDS)


def photos(folder: Path, count: int) -> Split:
    """Make so many pictures of each class without parts, and hold some out."""
    make(folder, *(f"{kind}/{i}.jpg" for kind in KINDS for i in range(count)))
    return split_folder(read(folder), 0.2)


def move(folder: Path, names: set[str], part: str) -> None:
    """Move pictures to a part, and all others to train/."""
    for path in sorted(folder.rglob("*.jpg")):
        name = path.relative_to(folder).as_posix()
        new = folder / (part if name in names else "train") / name
        new.parent.mkdir(parents=True, exist_ok=True)
        path.rename(new)
    for kind in KINDS:
        (folder / kind).rmdir()


def judge(folder: Path, first: Split) -> Judged:
    return choose_judged(read(folder), [("m", first.record)])


@pytest.mark.parametrize("count", [20, 200])
@pytest.mark.parametrize("part", ["val", "test"])
def test_what_was_moved_to_a_part_after_it_was_trained_on_does_not_judge(tmp_path: Path, count: int, part: str) -> None:
    first = photos(tmp_path, count)
    assert (len(first.record.sample) == first.record.trained) == (count == 20), "the record remembers all, or some"
    moved = {f"{kind}/{i}.jpg" for kind in KINDS for i in range(count // 4)}
    move(tmp_path, moved, part)
    seen = moved & set(first.train.names)
    assert 0 < len(seen) < len(moved)
    for folder in (tmp_path, tmp_path / part):
        judged = judge(folder, first)
        assert set(judged.pictures.names) == moved - seen
        assert judged.trained_on == 0
    told = f"{len(seen)} of {len(moved)} pictures of {tmp_path / part} were trained on before, and do not judge"
    assert judge(tmp_path, first).notes == (told,)
    every = choose_judged(read(tmp_path), [("m", first.record)], every=True)
    assert every.trained_on == len(first.train.names)


def test_few_pictures_that_were_moved_are_known_by_what_is_missing(tmp_path: Path) -> None:
    first = photos(tmp_path, 200)
    remembered = {name for name in first.train.names if not is_held_out(name, 0.4, frozenset())}
    moved = set(sorted(remembered)[:5])
    move(tmp_path, {*moved, first.held_out.names[0]}, "val")
    assert judge(tmp_path, first).pictures.names == first.held_out.names[:1]


def test_a_part_of_what_was_trained_on_judges_nothing(tmp_path: Path) -> None:
    first = photos(tmp_path, 20)
    move(tmp_path, set(first.train.names[:5]), "val")
    with pytest.raises(DataError, match="all 5 pictures of .*val were trained on before; put others there"):
        judge(tmp_path, first)
    with pytest.raises(DataError, match="all 5 pictures of .*val were trained on before; put others there"):
        split_folder(read(tmp_path), 0.2, [first.record])


@pytest.mark.parametrize("count", [20, 200])
def test_new_pictures_of_a_part_judge_even_where_some_were_removed_from_training(tmp_path: Path, count: int) -> None:
    """The rule of the split alone would take most of them for trained on."""
    make(tmp_path, *(f"train/{kind}/{i}.jpg" for kind in KINDS for i in range(count)))
    make(tmp_path, *(f"test/{kind}/{i}.jpg" for kind in KINDS for i in range(count // 2, 2 * count)))
    first = split_folder(read(tmp_path), 0.2)
    assert len(judge(tmp_path, first).seen) == 3 * count
    (tmp_path / "train" / first.train.names[0]).unlink()
    make(tmp_path, *(f"val/{kind}/new{i}.jpg" for kind in KINDS for i in range(count)))
    judged = judge(tmp_path, first)
    assert (len(judged.seen), judged.trained_on, judged.notes) == (2 * count, 0, ())


def test_a_second_training_does_not_judge_by_what_the_first_has_seen_and_remembers_that(tmp_path: Path) -> None:
    first = photos(tmp_path, 100)
    moved = {f"{kind}/{i}.jpg" for kind in KINDS for i in range(30)}
    move(tmp_path, moved, "val")
    unseen = moved & set(first.held_out.names)
    assert set(split_folder(read(tmp_path), 0.2).held_out.names) == moved
    second = split_folder(read(tmp_path), 0.2, [first.record])
    assert set(second.held_out.names) == unseen
    assert second.notes == (
        f"{60 - len(unseen)} of 60 pictures of {tmp_path / 'val'} were trained on before, and do not judge",
    )
    assert second.record.images == len(unseen)
    third = split_folder(read(tmp_path), 0.2, [second.record])
    for split in (second, third):
        assert set(judge(tmp_path, split).pictures.names) == unseen


def test_all_of_a_large_train_was_trained_on_and_what_left_it_is_in_doubt(tmp_path: Path) -> None:
    make(tmp_path, *(f"train/{kind}/{i}.jpg" for kind in KINDS for i in range(100)), "val/cow/a.jpg", "val/pig/b.jpg")
    first = split_folder(read(tmp_path), 0.2)
    assert (first.record.split, len(first.record.sample)) == ("folder", SAMPLE)
    assert (judge(tmp_path, first).trained_on, len(judge(tmp_path, first).seen)) == (0, 2)
    for i in range(50):
        (tmp_path / f"train/cow/{i}.jpg").rename(tmp_path / f"val/cow/{i}.jpg")
    judged = judge(tmp_path, first)
    assert judged.trained_on is None
    assert 2 < len(judged.seen) < 52
    assert "or they have changed since" in judged.doubts[0]
    assert "may have been, too" in split_folder(read(tmp_path), 0.2, [first.record]).notes[1]


def test_fewer_held_out_than_asked_for_is_told(tmp_path: Path) -> None:
    first = photos(tmp_path, 50)
    second = split_folder(read(tmp_path), 0.5, [first.record])
    wanted = len(split_folder(read(tmp_path), 0.5).held_out.names)
    assert second.notes == (
        f"{len(first.held_out.names)} images are held out, not {wanted} as --val-fraction says: on the others the "
        "weights to start from were trained",
    )
    assert split_folder(read(tmp_path), 0.2, [first.record]).notes == ()


def test_nothing_is_known_of_a_folder_without_the_trained_pictures(tmp_path: Path) -> None:
    first = photos(tmp_path / "one", 20)
    make(tmp_path / "other", "train/cow/a.jpg", "val/cow/b.jpg")
    assert are_seen(read(tmp_path / "other"), first.record) is None


@pytest.mark.parametrize("layout", ["masks", "boxes"])
@pytest.mark.parametrize("beneath", ["images/{part}", "{part}/images"])
def test_pictures_that_lie_in_a_folder_of_their_own_are_known_in_a_part(
    tmp_path: Path, layout: Layout, beneath: str
) -> None:
    other, suffix = ("masks", ".png") if layout == "masks" else ("labels", ".txt")
    make_pictures(tmp_path, *(f"images/{i}.png" for i in range(30)))
    write(tmp_path, {f"{other}/{i}{suffix}": "" for i in range(30)} | {"classes.txt": "hen"})
    first = split_folder(read_folder(tmp_path, layout), 0.3)
    moved = {f"images/{i}.png" for i in range(20)}
    assert moved - set(first.train.names)
    for kind in ("images", other):
        for path in sorted((tmp_path / kind).iterdir()):
            part = "val" if int(path.stem) < 20 else "train"
            new = tmp_path / beneath.format(part=part).replace("images", kind) / path.name
            new.parent.mkdir(parents=True, exist_ok=True)
            path.rename(new)
        if beneath.startswith("{"):
            (tmp_path / kind).rmdir()
    folder = read_folder(tmp_path, layout)
    judged = choose_judged(folder, [("m", first.record)])
    held = {Path(name).name for name in moved - set(first.train.names)}
    assert ({path.name for path in judged.pictures.paths}, judged.trained_on) == (held, 0)
    second = split_folder(folder, 0.3, [first.record])
    assert {path.name for path in second.held_out.paths} == held
    again = choose_judged(folder, [("m", second.record)])
    assert again.pictures.paths == judged.pictures.paths
