"""What is typed by habit of other tools is answered with edgevit's own command, in one line."""

import pytest

from edgevit.cli import main


def answer(capsys: pytest.CaptureFixture[str], line: str) -> str:
    with pytest.raises(SystemExit, match="2"):
        main(line.split())
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.count("\n") == 1
    return found.err.removeprefix("edgevit: ").rstrip()


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("predict m.onnx cat.jpg", "edgevit run m.onnx cat.jpg"),
        ("predict model=m.onnx source=cat.jpg conf=0.5", "edgevit run m.onnx cat.jpg --threshold 0.5"),
        ("predict source=cat.jpg model=m.onnx", "edgevit run m.onnx cat.jpg"),
        ("predict m.onnx source=cat.jpg", "edgevit run m.onnx cat.jpg"),
        ("predict cat.jpg model=m.onnx --json", "edgevit run m.onnx cat.jpg --json"),
        ("val model=m.onnx data=photos imgsz=224", "edgevit validate m.onnx --data photos --imgsz 224"),
        ("classify m.onnx cat.jpg", "edgevit run m.onnx cat.jpg"),
        ("segment m.onnx cat.jpg --save-mask out", "edgevit run m.onnx cat.jpg --save-mask out"),
        ("classify val model=m.onnx data=photos", "edgevit validate m.onnx --data photos"),
        (
            "classify train model=sbcformer_xs data=photos epochs=3 lr0=0.001",
            "edgevit train sbcformer_xs --data photos --epochs 3 --learning-rate 0.001",
        ),
        ("segment export model=sbcformer_xs half=True int8=False", "edgevit export sbcformer_xs --half"),
    ],
)
def test_other_tools_verbs_are_answered_with_the_command(
    capsys: pytest.CaptureFixture[str], typed: str, command: str
) -> None:
    verb = typed.split()[0]
    assert answer(capsys, typed) == f"no command {verb!r}; here it is: {command}"


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("detect m.onnx cat.jpg", "edgevit run m.onnx cat.jpg"),
        ("detect predict model=m.onnx source=cat.jpg", "edgevit run m.onnx cat.jpg"),
        ("track m.onnx clip.mp4", "edgevit run m.onnx clip.mp4 --track"),
        ("detect track model=m.onnx source=clip.mp4", "edgevit run m.onnx clip.mp4 --track"),
    ],
)
def test_who_wants_boxes_or_tracks_gets_the_command_that_finds_them(
    capsys: pytest.CaptureFixture[str], typed: str, command: str
) -> None:
    assert answer(capsys, typed).endswith(f"; here it is: {command}")


@pytest.mark.parametrize("typed", ["run m.onnx ~/a.jpg", "train sbcformer_xs --data photos --out=~/a.jpg", "info ~"])
def test_a_home_that_no_shell_replaced_is_refused_with_what_it_stands_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    word = typed.split()[-1]
    home = word.replace("~", "/home/me")
    assert answer(capsys, typed) == f"{word} has a ~, which a shell does not replace there; write {home}"


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        (["export", "efficientvit_b0", "--int8", "--data", ""], "--data"),
        (["export", "efficientvit_b0", "--labels="], "--labels"),
        (["train", "efficientvit_b0", "--data", "photos", "-o", ""], "--out"),
        (["validate", "m.onnx", "", "--data", "photos"], "MODEL..."),
        (["info", ""], "MODEL"),
        (["fleet", "init", ""], "DIR"),
    ],
)
def test_an_empty_path_is_not_taken_for_the_current_folder(
    capsys: pytest.CaptureFixture[str], typed: list[str], name: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(typed)
    assert f"{name} is '', expected a path; is a variable empty that should hold it?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        (["export", "efficientvit_b0", "--weights", ""], "--weights"),
        (["train", "efficientvit_b0", "--data", "photos", "--init="], "--init"),
        (["run", "m.onnx", "a.jpg", "--to", "text", "--to="], "--to"),
        (["run", "m.onnx", ""], "SOURCE..."),
        (["models", ""], "NAME"),
        (["fleet", "check", ""], "URL"),
    ],
)
def test_an_empty_name_or_address_is_told_as_such(
    capsys: pytest.CaptureFixture[str], typed: list[str], name: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(typed)
    message = f"edgevit: {name} is '', expected a value; is a variable empty that should hold it?\n"
    assert capsys.readouterr().err == message


def test_what_is_missing_is_answered_with_how_the_command_is_typed(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "run m.onnx") == (
        "Missing argument 'SOURCE...'; type edgevit run [OPTIONS] MODEL SOURCE...; edgevit run --help tells more"
    )


def test_what_has_no_counterpart_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "predict model=m.onnx source=a.jpg save=True augment=True") == (
        "no command 'predict'; here it is: edgevit run m.onnx a.jpg (there is nothing for save, augment)"
    )


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("run m.onnx a.jpg --evry 5s", "no option --evry; did you mean --every?"),
        ("run m.onnx a.jpg --conf 0.5", "no option --conf; did you mean --threshold?"),
        ("train sbcformer_xs --data photos --batch-size 8", "no option --batch-size; did you mean --batch?"),
        ("export sbcformer_xs --zzz", "no option --zzz"),
        ("export sbcformer_xs half=True imgsz=224", "(did you mean --half --imgsz 224?)"),
        ("train model=sbcformer_xs data=photos", "(did you mean sbcformer_xs --data photos?)"),
    ],
)
def test_a_wrong_option_gets_the_nearest(capsys: pytest.CaptureFixture[str], typed: str, message: str) -> None:
    assert answer(capsys, typed).endswith(message)
