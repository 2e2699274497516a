"""A file of weights is read whatever its wrapping, never run, and refused in one line when it is none."""

import argparse
import datetime
import os
import pickle
import random
import zipfile
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from edgevit.errors import CheckpointError
from edgevit.models.weights.checkpoint import read_checkpoint, read_state_dict
from edgevit.models.weights.containers import AVERAGED
from edgevit.models.weights.containers import RAW as LAST

RAW = {"stem.weight": torch.zeros(2, 2), "stem.bias": torch.zeros(2)}
WEIGHTS = {"stem.weight": torch.arange(4.0).reshape(2, 2), "stem.bias": torch.ones(2)}


def _saved(path: Path, content: Any, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def _same(found: dict[str, Tensor]) -> bool:
    return found.keys() == WEIGHTS.keys() and all(torch.equal(found[key], WEIGHTS[key]) for key in WEIGHTS)


def _refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_state_dict(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.pth.tar"])
@pytest.mark.parametrize("zipped", [True, False])
def test_pytorch_files_old_and_new_are_read(tmp_path: Path, name: str, zipped: bool) -> None:
    path = _saved(tmp_path / name, WEIGHTS, _use_new_zipfile_serialization=zipped)
    assert _same(read_state_dict(path))


def test_safetensors_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    for name in ("w.safetensors", "w.pt"):
        save_file(WEIGHTS, tmp_path / name)
        assert _same(read_state_dict(tmp_path / name))


@pytest.mark.parametrize("keys", [["model"], ["state_dict"], ["model_ema"], ["state_dict_ema"], ["model", "module"]])
def test_nested_weights_are_found(tmp_path: Path, keys: list[str]) -> None:
    content: Any = WEIGHTS
    for key in reversed(keys):
        content = {"epoch": 3, key: content}
    assert _same(read_state_dict(_saved(tmp_path / "w.pt", content)))


def test_averaged_weights_come_first(tmp_path: Path) -> None:
    other = {key: value + 1 for key, value in WEIGHTS.items()}
    for averaged in ("state_dict_ema", "model_ema"):
        path = _saved(tmp_path / f"{averaged}.pt", {"model": other, "state_dict": other, averaged: WEIGHTS})
        assert _same(read_state_dict(path))
    assert _same(read_state_dict(_saved(tmp_path / "none.pt", {"state_dict_ema": None, "model": WEIGHTS})))


def test_the_reference_trainers_namespace_is_read(tmp_path: Path) -> None:
    args = argparse.Namespace(lr=1e-3, epochs=300, model="SBCFormer_B")
    content = {"model": WEIGHTS, "optimizer": {"state": {}}, "epoch": 299, "args": args, "acc": 80.0}
    assert _same(read_state_dict(_saved(tmp_path / "w.pth", content)))


class _Canary:
    """Creates a file when it is unpickled by a reader that runs code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_canary_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(_Canary(tmp_path / "canary")))
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_refused_and_never_run(tmp_path: Path, zipped: bool) -> None:
    canary = tmp_path / "canary"
    content = {"model": WEIGHTS, "extra": _Canary(canary)}
    message = _refusal(_saved(tmp_path / "w.pth", content, _use_new_zipfile_serialization=zipped))
    assert "holds Python code (posix.mkdir), which is never run" in message
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(_Canary(canary), protocol=2))
    _refusal(tmp_path / "bare.pt")
    assert not canary.exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "beside",
    [
        np.float64(0.5),
        np.arange(3),
        Path("images"),
        argparse.Namespace(data=Path("images")),
        defaultdict(list, {"loss": [0.5, 0.25]}),
        deque([0.5]),
        datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        datetime.timedelta(hours=3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_trainers_store_beside_weights_is_no_obstacle(tmp_path: Path, beside: Any, zipped: bool) -> None:
    content = {"best": beside, "history": [beside], "model": WEIGHTS}
    assert _same(read_state_dict(_saved(tmp_path / "w.pt", content, _use_new_zipfile_serialization=zipped)))


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ({"ema": {0.9998: WEIGHTS}, "state_dict": RAW}, "ema/0.9998"),
        ({"ema": {"0.9998": WEIGHTS}, "model": RAW}, "ema/0.9998"),
        ({"ema_state_dict": WEIGHTS, "model_state_dict": RAW}, "ema_state_dict"),
        ({"ema": WEIGHTS, "state_dict": RAW}, "ema"),
        ({"model_ema": {"module": WEIGHTS}, "net": RAW}, "model_ema/module"),
        ({"optimizer": {"state": {0: {"exp_avg": RAW["stem.bias"]}}}, "model_state_dict": WEIGHTS}, "model_state_dict"),
        ({"net": WEIGHTS}, "net"),
        ({"network": WEIGHTS}, "network"),
        ({"weights": WEIGHTS}, "weights"),
        ({"state_dict_ema": {"n_averaged": torch.tensor(3), **WEIGHTS}, "model": RAW}, "state_dict_ema"),
        ({"ema": {"decay": 0.99, "shadow": WEIGHTS}, "state_dict": RAW}, "ema/shadow"),
        ({"ema": {9998: WEIGHTS}, "model": RAW}, "ema/9998"),
        ({"model": RAW, "EMA": WEIGHTS}, "EMA"),
        ({"params": RAW, "params_ema": WEIGHTS}, "params_ema"),
        ({"model": RAW, "averaged_model": WEIGHTS}, "averaged_model"),
        ({"model": RAW, "swa_model": {"n_averaged": torch.tensor(3), **WEIGHTS}}, "swa_model"),
        ({"state_dict": RAW, "callbacks": {"EMACallback": {"weights": WEIGHTS}}}, "callbacks/EMACallback/weights"),
        (
            {"state_dict": RAW | {f"ema_model.{key}": value for key, value in WEIGHTS.items()}},
            "state_dict/ema_model",
        ),
        ({"model": WEIGHTS, "ema": None, "ema_decay": 0.99, "avg_loss": torch.tensor(1.0)}, "model"),
        (WEIGHTS, ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_averaged_weights_are_taken_and_named(tmp_path: Path, content: Any, key: str) -> None:
    found = read_checkpoint(_saved(tmp_path / "w.pt", content))
    assert (found.key, _same(found.tensors)) == (key, True)


def test_choice_is_told_and_can_be_made(tmp_path: Path) -> None:
    path = _saved(tmp_path / "w.pt", {"ema": {0.9998: WEIGHTS}, "state_dict": RAW})
    assert read_checkpoint(path).choice == ("took the averaged weights 'ema/0.9998'; the file also holds 'state_dict'")
    raw = read_checkpoint(path, "state_dict")
    assert (raw.key, raw.others) == ("state_dict", ("ema/0.9998",))
    assert torch.equal(raw.tensors["stem.bias"], RAW["stem.bias"])
    with pytest.raises(CheckpointError, match="no weights under 'best'; it has: 'ema/0.9998', 'state_dict'"):
        read_checkpoint(path, "best")
    assert read_checkpoint(_saved(tmp_path / "one.pt", {"model": WEIGHTS})).choice == ""


def test_file_that_holds_itself_is_refused(tmp_path: Path) -> None:
    content: dict[str, Any] = {"state_dict": None}
    content["state_dict"] = content
    assert "holds no weights, only: state_dict" in _refusal(_saved(tmp_path / "w.pt", content))


def test_file_that_holds_itself_under_every_name_is_walked_once(tmp_path: Path) -> None:
    content: dict[str, Any] = {}
    content |= dict.fromkeys((*AVERAGED, *LAST), content)
    assert "holds no weights, only: " in _refusal(_saved(tmp_path / "w.pt", content))


def test_averaged_weights_without_names_are_not_passed_over(tmp_path: Path) -> None:
    averages = {"decay": 0.99, "shadow_params": list(WEIGHTS.values())}
    path = _saved(tmp_path / "w.pt", {"state_dict": RAW, "ema": averages})
    assert "averaged weights under 'ema/shadow_params' without the names of their layers" in _refusal(path)
    assert read_checkpoint(path, "state_dict").tensors.keys() == RAW.keys()


def test_any_key_can_be_chosen(tmp_path: Path) -> None:
    path = _saved(tmp_path / "w.pt", {"student": RAW, "teacher": {"backbone": WEIGHTS}})
    assert _same(read_checkpoint(path, "teacher/backbone").tensors)
    assert _refusal(path).endswith(f"{path}:student")


def test_long_name_is_shortened_in_a_refusal(tmp_path: Path) -> None:
    assert len(_refusal(_saved(tmp_path / "w.pt", {"k" * 1_000_000: 3}))) < 1000


def test_deeply_nested_header_is_refused(tmp_path: Path) -> None:
    header = b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert "truncated or damaged" in _refusal(tmp_path / "w.safetensors")


def test_compressed_archive_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(_saved(tmp_path / "w.pt", {"a": torch.zeros(10_000_000)})) as sound:
        entries = {entry.filename: sound.read(entry) for entry in sound.infolist()}
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
        for name, data in entries.items():
            bomb.writestr(name, data)
    assert "would unpack to 40 MB from 0" in _refusal(tmp_path / "bomb.pt")


def test_a_pickled_module_is_refused(tmp_path: Path) -> None:
    assert "torch.save(model.state_dict(), FILE)" in _refusal(_saved(tmp_path / "w.pt", torch.nn.Linear(2, 2)))


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_truncated_file_is_refused(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    weights = {"stem.weight": torch.ones(200, 200)}
    if name == "w.pt":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    message = _refusal(path)
    assert "truncated" in message
    assert message.endswith("copy or download it again")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty; copy or download it again"),
        (b"\n <!DOCTYPE html><html><title>Quota exceeded</title>", "is an HTML page, not weights; download it again"),
        (b"<html>sign in</html>", "is an HTML page, not weights; download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "is a Git LFS pointer, not weights"),
        (b"\xff\xd8\xff\xe0 a photograph", "not a PyTorch file"),
        (bytes(1000), "not a PyTorch file"),
    ],
)
def test_what_is_not_weights_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(content)
    assert problem in _refusal(path)


def test_pipe_and_device_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "w.pt")
    assert "it is a pipe or a device, not a file" in _refusal(tmp_path / "w.pt")
    assert "it is a pipe or a device, not a file" in _refusal(Path("/dev/zero"))


def test_folder_is_refused(tmp_path: Path) -> None:
    assert "is a folder" in _refusal(tmp_path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    assert "does not exist; give the path of a .pt, .pth or .safetensors file" in _refusal(tmp_path / "none.pt")


def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.symlink_to(path)
    assert "cannot be read: Too many levels of symbolic links" in _refusal(path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({0: torch.ones(2), 1: torch.ones(2)}, "names its entries by int (0), not by layer"),
        ({"model": {3: torch.ones(2)}}, "names its entries by int (3), not by layer"),
        ({"epoch": 3, "lr": 0.1}, "holds no weights, only: epoch, lr; expected a state dict"),
        ({}, "holds no weights, only: nothing"),
        ([torch.ones(2)], "holds a list, not a state dict"),
        (torch.ones(2), "holds a Tensor, not a state dict"),
    ],
)
def test_content_that_is_no_state_dict_is_refused(tmp_path: Path, content: Any, problem: str) -> None:
    assert problem in _refusal(_saved(tmp_path / "w.pt", content))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused_with_what_to_do(tmp_path: Path) -> None:
    torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)).save(tmp_path / "w.pt")  # type: ignore[no-untyped-call]
    assert "is a TorchScript program, not weights; save them with torch.save" in _refusal(tmp_path / "w.pt")


def test_ten_thousand_random_files_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    """Sound files of each kind, cut or with some bytes changed; and rubbish from the first byte on."""
    draw, path, outcomes = random.Random(1), tmp_path / "random.pt", {"read": 0, "refused": 0}
    _saved(tmp_path / "zip.pt", WEIGHTS)
    _saved(tmp_path / "old.pt", WEIGHTS, _use_new_zipfile_serialization=False)
    save_file(WEIGHTS, tmp_path / "w.safetensors")
    sound = [(tmp_path / name).read_bytes() for name in ("zip.pt", "old.pt", "w.safetensors")]
    for _ in range(10_000):
        data = bytearray(draw.choice(sound))
        kind = draw.randrange(3)
        for _ in range(draw.randrange(1, 8) if kind else 0):
            data[draw.randrange(len(data))] = draw.randrange(256)
        # a new file each time: cutting an old one to nothing has ext4 flush it
        path.unlink(missing_ok=True)
        path.write_bytes((data[: draw.randrange(len(data))], data, draw.randbytes(draw.randrange(100)))[kind])
        try:
            read_state_dict(path)
            outcomes["read"] += 1
        except CheckpointError as error:
            outcomes["refused"] += "\n" not in str(error)
    assert sum(outcomes.values()) == 10_000
    assert outcomes["refused"] > 5000
