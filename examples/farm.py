"""Watch a farm's camera: count what comes in each hour, and raise an alarm when something unknown comes at night.

    python examples/farm.py farm.onnx picam --counts counts.csv --night 21-6

The model needs a class for the empty yard, such as "nothing". What it then does not recognize is "unknown".
A label that lasts is counted once, however many frames it is seen in. counts.csv gets a line for each hour and label.
"""

import argparse
import csv
import logging
import signal
from collections import Counter
from datetime import datetime
from pathlib import Path

import edgevit

log = logging.getLogger("farm")


def is_night(hour: int, night: tuple[int, int]) -> bool:
    """Tell whether an hour of the day is in the night, which may last past midnight: 21-6 is 21, 22, 23, 0 ... 5."""
    begins, ends = night
    return begins <= hour < ends if begins <= ends else hour >= begins or hour < ends


def raise_alarm(event: edgevit.Event) -> None:
    """Do what must be done at night; write here what suits you: a siren, a lamp, a message."""
    log.warning("ALARM %s", event.to_json())


def add_counts(path: Path, hour: str, counts: Counter[str]) -> None:
    """Append what was counted in an hour to a CSV file."""
    with path.open("a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows((hour, label, count) for label, count in sorted(counts.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("source", help="a camera, stream or video; see docs/sources.md")
    parser.add_argument("--counts", type=Path, default=Path("counts.csv"))
    parser.add_argument("--every", default="1s", help="how often to look")
    parser.add_argument("--night", default="21-6", help="from hour to hour, local time")
    options = parser.parse_args()
    begins, _, ends = options.night.partition("-")
    night = int(begins), int(ends)

    logging.basicConfig(format="%(asctime)s %(message)s")
    stop = edgevit.Stop()
    signal.signal(signal.SIGTERM, lambda *_: stop.ask())
    signal.signal(signal.SIGINT, lambda *_: stop.ask())
    counts: Counter[str] = Counter()
    hour = ""

    def hear(event: edgevit.Event) -> None:
        """Count a label; log everything else, such as a camera that is lost or a picture that is too dark."""
        nonlocal hour
        if event.kind != "label":
            log.warning("%s", event.to_json())
            return
        time = datetime.fromtimestamp(event.moment.wall_s)
        if time.strftime("%Y-%m-%d %H:00") != hour:
            add_counts(options.counts, hour, counts)
            counts.clear()
            hour = time.strftime("%Y-%m-%d %H:00")
        label = event.facts["label"]
        counts[label] += 1
        print(time.strftime("%H:%M:%S"), label, flush=True)
        if label == edgevit.UNKNOWN and is_night(time.hour, night):
            raise_alarm(event)

    with edgevit.load(options.model) as classifier:
        # 3 of the last 5 frames must agree, each with a confidence of at least 0.6
        for _ in classifier.stream(
            options.source, every=options.every, stable="3/5", threshold=0.6, on_event=hear, stop=stop
        ):
            pass
    add_counts(options.counts, hour, counts)


if __name__ == "__main__":
    main()
