"""Classify what several cameras see, with one model: a thread for each camera, one line for each answer.

    python examples/many_cameras.py model.onnx camera:0 rtsp://10.0.0.7/yard http://10.0.0.8/gate.jpg --every 5s

A camera that goes away is waited for, and does not hold up the others. Ctrl-C ends all of them.
"""

import argparse
import signal
from concurrent.futures import ThreadPoolExecutor, as_completed

import edgevit


def watch(classifier: edgevit.Classifier, source: str, every: str | None, stop: edgevit.Stop) -> None:
    """Print the answers for one camera until it ends, or all shall."""
    for result in classifier.stream(source, every=every, on_event=tell, stop=stop):
        # the line and its end in one piece, as several threads write
        print(f"{result.source}: {result}\n", end="", flush=True)


def tell(event: edgevit.Event) -> None:
    print(f"{event.moment.source}: {event.kind}\n", end="", flush=True)


def watch_all(classifier: edgevit.Classifier, sources: list[str], every: str | None, stop: edgevit.Stop) -> None:
    """Watch all cameras; return when the last has ended. What goes wrong with one ends all, and is raised."""
    with ThreadPoolExecutor(len(sources)) as threads:
        jobs = [threads.submit(watch, classifier, source, every, stop) for source in sources]
        try:
            for job in as_completed(jobs):
                job.result()
        finally:
            stop.ask()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("sources", nargs="+", help="cameras, streams and videos; see docs/sources.md")
    parser.add_argument("--every", help="how often to look, such as 5s")
    options = parser.parse_args()

    stop = edgevit.Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.ask())
    with edgevit.load(options.model) as classifier:
        watch_all(classifier, options.sources, options.every, stop)


if __name__ == "__main__":
    main()
