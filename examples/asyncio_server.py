"""Classify inside a program that uses asyncio: here a small server that gives everybody the newest answer.

    python examples/asyncio_server.py model.onnx camera:0 --port 8765
    nc 127.0.0.1 8765

Cameras and models block, so they work in a thread of their own, and the event loop stays free.
"""

import argparse
import asyncio
import signal
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import edgevit


async def answers(
    classifier: edgevit.Classifier, source: str, every: str | None = None
) -> AsyncGenerator[edgevit.Result, None]:
    """Yield the answers of a stream; its thread ends with it, also when the task is cancelled."""
    stop = edgevit.Stop()
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "camera") as thread:
        results = classifier.stream(source, every=every, stop=stop)
        try:
            while (result := await loop.run_in_executor(thread, next, results, None)) is not None:
                yield result
        finally:
            # ends the wait for the next frame, after which the only thread there is closes the stream
            stop.ask()
            thread.submit(results.close)


class Newest:
    """The newest answer, given to everybody who connects."""

    line = b"{}\n"

    async def follow(self, classifier: edgevit.Classifier, source: str, every: str | None) -> None:
        async with aclosing(answers(classifier, source, every)) as results:
            async for result in results:
                self.line = result.to_json().encode() + b"\n"

    async def tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.line)
        await writer.drain()
        writer.close()


async def serve(model: str, source: str, every: str | None, port: int) -> None:
    newest = Newest()
    with edgevit.load(model) as classifier:
        server = await asyncio.start_server(newest.tell, "127.0.0.1", port)
        async with server:
            print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
            following = asyncio.create_task(newest.follow(classifier, source, every))
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, following.cancel)
            await asyncio.wait([following])
    if not following.cancelled():
        following.result()  # raises what went wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("source", help="a camera, stream or video; see docs/sources.md")
    parser.add_argument("--every", help="how often to look, such as 5s")
    parser.add_argument("--port", type=int, default=8765)
    options = parser.parse_args()
    asyncio.run(serve(options.model, options.source, options.every, options.port))
