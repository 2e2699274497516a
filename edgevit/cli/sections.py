"""Help in sections: options under headings of their own, summaries in full, and examples at the end."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from edgevit.cli.terminal import echo_text
from edgevit.schema import is_plain

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

OTHERS = "Other options"
"""Heading of the options that no section names, such as --help."""


def section(title: str) -> Callable[[Decorated], Decorated]:
    """Return a decorator that puts the options below it, as far as the next section, under a heading."""

    def name_options(function: Decorated) -> Decorated:
        # decorators are applied from the bottom up, so those without a section belong to this one
        for option in getattr(function, "__click_params__", ()):
            if not hasattr(option, "section"):
                option.section = title
        return function

    return name_options


_NUMBERS = (type(click.INT), type(click.FLOAT))
"""Those of ranges are subclasses."""


class Command(click.Command):
    """A click command whose options may stand in sections, and whose values are neither empty nor odd numbers."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _tell_help
        return option

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            echo_text(ctx.get_help(), err=True)
            ctx.exit(2)
        self._check_words(ctx, args)
        return super().parse_args(ctx, args)

    def _check_words(self, ctx: click.Context, args: list[str]) -> None:
        """Raise for what click lets pass: "", as the current folder or any word, and numbers such as 1_0 or \u0664."""
        if ctx.resilient_parsing or all(word and is_plain(word) and not word.endswith("=") for word in args):
            return
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        for asked in self.get_params(ctx):
            value = given.get(asked.name or "")
            words = [word for word in (value if isinstance(value, list | tuple) else [value]) if isinstance(word, str)]
            if fault := _find_fault(asked.type, words):
                name = max(asked.opts, key=len) if isinstance(asked, click.Option) else asked.make_metavar(ctx)
                raise click.UsageError(f"{name.strip('[]')} is {fault}", ctx)

    def sections(self, ctx: click.Context) -> dict[str, list[click.Option]]:
        """Return the options that are shown, by heading, in the order of the command's own."""
        options = [option for option in self.get_params(ctx) if isinstance(option, click.Option) and not option.hidden]
        found: dict[str, list[click.Option]] = {}
        for option in options:
            found.setdefault(getattr(option, "section", OTHERS), []).append(option)
        return {"Options": options} if list(found) == [OTHERS] else found

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, options in self.sections(ctx).items():
            with formatter.section(title):
                formatter.write_dl([record for option in options if (record := option.get_help_record(ctx))])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.epilog:
            with formatter.section("Examples"):
                formatter.write_text(self.epilog)

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the first sentence of the help, however long: click would cut it."""
        first, stop, _ = " ".join((self.short_help or self.help or "").split()).partition(". ")
        return first + stop.rstrip()


def _find_fault(kind: object, words: Sequence[str]) -> str | None:
    is_path = isinstance(kind, click.Path)
    if "" in words and (is_path or kind is click.STRING):
        return f"'', expected {'a path' if is_path else 'a value'}; is a variable empty that should hold it?"
    if isinstance(kind, _NUMBERS) and (odd := next((word for word in words if not is_plain(word)), None)):
        return f"{odd!r}, expected a number of digits from 0 to 9"
    return None


def _tell_help(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the help as all else is printed: a full disk is told in one line."""
    if wanted and not ctx.resilient_parsing:
        echo_text(ctx.get_help())
        ctx.exit()


class CommandGroup(Command, click.Group):
    """A group of such commands."""

    command_class = Command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)
