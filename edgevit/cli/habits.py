"""Answers to what is typed by habit: other tools' verbs, and words such as imgsz=224, in edgevit's own terms."""

import itertools
import os
import shlex
from collections.abc import Sequence

import click

VERBS = {
    "predict": "run",
    "infer": "run",
    "detect": "run",
    "classify": "run",
    "segment": "run",
    "track": "run",
    "val": "validate",
    "eval": "validate",
    "test": "validate",
    "finetune": "train",
    "convert": "export",
    "checks": "doctor",
}
"""What other tools call a command."""

IMPLIED = {"track": ("--track",)}
"""Options that make a command do what another tool's verb does."""

SHARED_VERBS = ("train", "export", "benchmark")
"""What they call as edgevit does."""

TASKS = ("classify", "detect", "segment")
"""Words that elsewhere may stand before the verb."""

OPTIONS = {
    "conf": "--threshold",
    "img": "--imgsz",
    "img-size": "--imgsz",
    "image-size": "--imgsz",
    "batch-size": "--batch",
    "topk": "--top-k",
    "vid-stride": "--every",
    "lr": "--learning-rate",
    "lr0": "--learning-rate",
    "pretrained": "--weights",
    "checkpoint": "--weights",
    "quantize": "--int8",
    "save-dir": "--out",
    "project": "--out",
}
"""What other tools call an option."""


def command_of(arguments: Sequence[str]) -> tuple[str, Sequence[str]] | None:
    """Return edgevit's command for another tool's verb, and the words behind it; None if it is no such verb."""
    verb, *words = arguments
    if verb in TASKS and words and words[0] in (*VERBS, *SHARED_VERBS):
        verb, *words = words
    if verb not in (*VERBS, *SHARED_VERBS):
        return None
    return VERBS.get(verb, verb), (*words, *IMPLIED.get(verb, ()))


def rewritten(words: Sequence[str], command: click.Command) -> tuple[list[str], list[str]]:
    """Write key=value words as the arguments and options of a command, its arguments first.

    Returns:
        the words, the others as they are; and the keys for which the command has nothing.
    """
    arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    places, options, unknown = {}, [], []
    kept = [word for word in words if not is_pair(word)]
    plain = list(itertools.takewhile(lambda word: not word.startswith("-"), kept))
    for word in filter(is_pair, words):
        key, _, value = word.partition("=")
        option = find_option(key, command)
        if key in ("model", "source"):
            place = ("model", "source").index(key)
            if place < len(arguments):
                places[place] = value
                continue
        if option is None:
            unknown.append(key)
        elif not option.is_flag:
            options += [option_name(option), value]
        elif value.lower() in ("true", "1"):
            options.append(option_name(option))
    # what has no name takes the places that are left, in order
    rest = iter(plain)
    for place in range(len(places) + len(plain)):
        if place not in places and (plain_word := next(rest, None)) is not None:
            places[place] = plain_word
    return [*(places[place] for place in sorted(places)), *kept[len(plain) :], *options], unknown


def is_pair(word: str) -> bool:
    """Tell whether a word is of the form key=value."""
    key, equals, _ = word.partition("=")
    return bool(equals) and key.isidentifier()


def find_option(name: str, command: click.Command) -> click.Option | None:
    """Return a command's option for a name without dashes in front, another tool's among them."""
    plain = name.replace("_", "-")
    wanted = {f"--{plain}", OPTIONS.get(plain)}
    options = (parameter for parameter in command.params if isinstance(parameter, click.Option))
    return next((option for option in options if wanted & set(option.opts)), None)


def option_name(option: click.Option) -> str:
    """Return an option's long name, such as "--imgsz"."""
    return max(option.opts, key=len)


def unreplaced_home(words: Sequence[str]) -> tuple[str, str] | None:
    """Return a word with a ~ that no shell has replaced, as in --out=~/runs or in quotes, and what it stands for.

    A folder called ~ can still be named, as ./~.
    """
    for word in words:
        option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if value == "~" or value.startswith("~/"):
            return word, f"{option}{equals}{os.path.expanduser(value)}"
    return None


def spelled(words: Sequence[str]) -> str:
    """Return words as one types them in a shell."""
    return shlex.join(words)
