"""What a shell offers at the Tab key for names of models, weights and boards, and for files; needs no torch."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import click
from click.shell_completion import CompletionItem

MODEL_SUFFIXES = (".onnx", ".tflite")

# in quotes, since the items of click before 8.4 have no type of their values
Items: TypeAlias = "list[CompletionItem[str]]"


def complete_models(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Offer the names of the zoo."""
    from edgevit.models.zoo.registry import get_spec, list_models

    return _starting({name: _accuracy(get_spec(name).accuracy) for name in list_models()}.items(), incomplete)


def complete_weights(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Offer the published weights of the model that the command names, to start from its relatives' too; or files."""
    from edgevit.errors import UnknownNameError
    from edgevit.models.zoo.registry import get_spec, relatives

    # while an option lacks its value, click leaves the words beside it unread
    words = [ctx.params.get("model"), ctx.params.get("name"), *ctx.args]
    name = next((word for word in words if word), None)
    try:
        spec = get_spec(name) if name else None
    except UnknownNameError:
        spec = None
    models = () if spec is None else relatives(spec) if param.name == "init" else (spec,)
    known = [(entry.name, entry.note) for model in models for entry in model.weights]
    return _starting([*known, ("random", "untrained: its answers mean nothing")], incomplete) or _files(incomplete)


def complete_boards(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Offer the names of the device profiles."""
    from edgevit.device_profiles import all_profiles

    return _starting(sorted((profile.name, profile.title) for profile in all_profiles()), incomplete)


def complete_model_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Offer .onnx and .tflite files of the folder that is typed; where it has none, what the shell would."""
    folder, _, start = incomplete.rpartition("/")
    where = Path(folder or ("/" if incomplete.startswith("/") else ".")).expanduser()
    try:
        names = sorted(path.name for path in where.iterdir() if path.suffix.lower() in MODEL_SUFFIXES)
    except OSError:
        names = []
    # a shell would take a name with a space for two
    found = [f"{incomplete[: len(incomplete) - len(start)]}{name}" for name in names if not set(name) & set(" \t\n")]
    return _starting([(name, None) for name in found], incomplete) or _files(incomplete)


def complete_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Let the shell offer files."""
    return _files(incomplete)


def _starting(names: Iterable[tuple[str, str | None]], incomplete: str) -> Items:
    return [CompletionItem(name, help=about) for name, about in names if name.startswith(incomplete)]


def _files(incomplete: str) -> Items:
    return [CompletionItem(incomplete, type="file")]


def _accuracy(accuracy: float | None) -> str | None:
    return None if accuracy is None else f"published accuracy {accuracy:.1f} %"
