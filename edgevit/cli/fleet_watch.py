"""The part of `edgevit fleet` that reads what boards tell a broker, and has it forget those that are gone."""

import time
from typing import TYPE_CHECKING

import click

from edgevit.cli.sections import Command, CommandGroup
from edgevit.cli.tables import table
from edgevit.cli.terminal import echo_json, echo_text, say
from edgevit.errors import OptionError

if TYPE_CHECKING:
    from edgevit.fleet.boards import Board
    from edgevit.runtime.delivery.broker import Broker

HEADER = ("BOARD", "HOST", "MODEL", "VERSION", "SINCE", "FPS", "HEAT", "WAITING", "UPDATE", "SEEN")
UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@click.command("list", cls=Command)
@click.argument("broker", metavar="mqtt://BROKER/PREFIX")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; see docs/fleet.md.")
def list_boards(broker: str, as_json: bool) -> None:
    """List the boards that publish below PREFIX: what each runs, since when, how fast, how warm, and when it was heard.

    Login and certificates are given as for `--to`; see docs/sinks.md.
    """
    from edgevit.fleet.boards import read_boards

    boards, troubles = read_boards(_broker(broker))
    for trouble in troubles:
        say(trouble)
    now_s = time.time()
    if as_json:
        echo_json({"boards": [board.to_plain_dict(now_s) for board in boards]})
        return
    echo_text(table([HEADER, *(row(board, now_s) for board in boards)], others="left"))
    say(summary(boards, now_s))


@click.command("forget", cls=Command)
@click.argument("broker", metavar="mqtt://BROKER/TOPIC")
def forget(broker: str) -> None:
    """Have the broker forget a board that is gone, whose TOPIC is the one that its `--to` named.

    One that the broker calls online is listened to for 90 seconds first, and stays if it says something. Home Assistant
    removes its entities then, also where `?discovery=PREFIX` says that it listens elsewhere.
    """
    from edgevit.fleet.forget import forget_board

    known = _broker(broker)
    topics = forget_board(known, tell=say)
    say(f"{known.name} is forgotten: {len(topics)} messages that the broker kept")


def add_to(group: CommandGroup) -> None:
    """Add these commands."""
    for each in (list_boards, forget):
        group.add_command(each)


def row(board: "Board", now_s: float) -> tuple[str, ...]:
    """Return the columns under HEADER."""
    from edgevit.runtime.board.status import unix_time

    status = board.status
    warm = "" if status.temperature_c is None else f"{status.temperature_c:.0f} °C"
    return (
        board.topic,
        status.host,
        status.model.rpartition("/")[2],
        board.version,
        time.strftime("%Y-%m-%d %H:%M", time.localtime(unix_time(status.since))),
        f"{status.frames_per_second:g}",
        f"{warm} throttled" if status.throttled else warm or "-",
        "-" if status.backlog is None else str(status.backlog),
        update_text(board),
        seen_text(board, now_s),
    )


def update_text(board: "Board") -> str:
    """Return what the updater says, or why a reload failed, and whether it has not asked its site for long."""
    if board.update is None:
        return board.status.reload_error or "-"
    error = board.update.error or board.status.reload_error
    text = board.update.state if error is None else f"{board.update.state}: {error}"
    return text if board.unheard_s is None else f"{text}; no answer of the site for {_span_text(board.unheard_s)}"


def seen_text(board: "Board", now_s: float) -> str:
    """Return when the board was heard last, and what is wrong with that."""
    seen = f"{_span_text(board.age_s(now_s))} ago"
    state = "offline" if board.offline else "silent" if board.is_silent(now_s) else ""
    lost = "camera lost" if board.source_lost else ""
    return ", ".join(part for part in (state, lost, seen) if part)


def _span_text(span_s: float) -> str:
    size, unit = next((each for each in UNITS if span_s >= each[0]), UNITS[-1])
    return f"{span_s // size:.0f} {unit}"


def summary(boards: "list[Board]", now_s: float) -> str:
    """Return one line: how many boards, how many are not heard of, and how many models they run."""
    silent = sum(board.is_silent(now_s) for board in boards)
    models = len({board.status.sha256 for board in boards})
    parts = [f"{len(boards):,} board{'' if len(boards) == 1 else 's'}", f"{silent:,} silent or offline"]
    return ", ".join([*parts, "all run the same model" if models == 1 else f"{models:,} different models"])


def _broker(text: str) -> "Broker":
    import os

    from edgevit.runtime.addresses.address import resolve
    from edgevit.runtime.addresses.destinations import SCHEMES, parse_sink
    from edgevit.runtime.delivery.broker import Broker

    if SCHEMES.get(resolve(text, "the broker").partition("://")[0].lower()) != "mqtt":
        raise OptionError(
            "the broker is no address of one, expected mqtt://HOST/PREFIX, such as mqtt://192.168.1.5/farm"
        )
    return Broker.from_target(parse_sink(text), os.environ)
