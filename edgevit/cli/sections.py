"""Help in sections: options under headings of their own, summaries in full, and examples at the end."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from edgevit.cli.terminal import echo_text

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


class Command(click.Command):
    """A click command whose options may stand in sections, and none of whose values are empty."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _tell_help
        return option

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            echo_text(ctx.get_help(), err=True)
            ctx.exit(2)
        self._refuse_empty(ctx, args)
        return super().parse_args(ctx, args)

    def _refuse_empty(self, ctx: click.Context, args: list[str]) -> None:
        """Raise for "" in place of a path, which click would take for the current folder, or of another word."""
        if "" not in args and not any(word.endswith("=") for word in args):
            return
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        for asked in self.get_params(ctx):
            value, is_path = given.get(asked.name or ""), isinstance(asked.type, click.Path)
            is_empty = value == "" or (isinstance(value, list | tuple) and "" in value)
            if is_empty and (is_path or asked.type is click.STRING):
                name = max(asked.opts, key=len) if isinstance(asked, click.Option) else asked.make_metavar(ctx)
                found = f"{name.strip('[]')} is '', expected {'a path' if is_path else 'a value'}"
                raise click.UsageError(f"{found}; is a variable empty that should hold it?", ctx)

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
