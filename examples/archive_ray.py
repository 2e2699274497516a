"""Pictures of an archive that outgrows one machine, answered on a cluster by Ray Data, into a folder of Parquet files.

    pip install 'ray[data]'
    python archive_ray.py m.onnx photos/ answers/ --workers 2

Every machine must find the model and the photos under the same absolute path, as on a network drive. Run it again after
anything was killed: it goes on with the pictures that have no row yet. One machine is better off without Ray: see
docs/archives.md.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import ray

import edgevit

# told once: a column without any value has no type of its own, and a folder of such files cannot be read
SCHEMA = pa.schema([(name, pa.string()) for name in ("source", "answer", "error")])
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


class Answerer:
    """What each worker process keeps: the model, which travels by its path and is opened here."""

    def __init__(self, model: edgevit.Classifier) -> None:
        self.model = model

    def __call__(self, pictures: pa.Table) -> pa.Table:
        return table([self.row(path) for path in pictures["path"].to_pylist()])

    def row(self, path: str) -> dict[str, str | None]:
        try:
            return {"source": path, "answer": self.model(path).to_json(), "error": None}
        except edgevit.ImageError as error:
            return {"source": path, "answer": None, "error": str(error)}


def table(rows: list[dict[str, str | None]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def answer(model: edgevit.Classifier, paths: list[str], out: Path, workers: int, most: int) -> None:
    """Answer pictures, at most so many a block, and write what succeeds; a block that kills its worker is left out."""
    blocks = max(workers, -(-len(paths) // most))
    found = ray.data.from_items([{"path": path} for path in paths], override_num_blocks=min(blocks, len(paths)))
    answers = found.map_batches(
        Answerer,
        fn_constructor_args=(model,),
        batch_format="pyarrow",
        batch_size=None,
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(paths))),
        num_cpus=1,
        # by default a picture that kills its worker would be tried for ever
        max_restarts=-1,
        max_task_retries=1,
    )
    answers.write_parquet(str(out))


def missing(paths: list[str], out: Path) -> list[str]:
    """Return the pictures that have no row yet."""
    files = sorted(map(str, out.glob("*.parquet")))
    if not files:
        return paths
    done = set(pyarrow.dataset.dataset(files, schema=SCHEMA).to_table(["source"])["source"].to_pylist())
    return [path for path in paths if path not in done]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--block", type=int, default=500, help="pictures that a worker is given at a time")
    given = parser.parse_args()
    found = sorted(path for path in given.photos.absolute().rglob("*") if path.suffix.lower() in SUFFIXES)
    paths = [str(path) for path in found]
    given.out.mkdir(parents=True, exist_ok=True)
    ray.init(log_to_driver=False)
    context = ray.data.DataContext.get_current()
    context.max_errored_blocks = -1
    context.enable_progress_bars = False
    with edgevit.load(given.model, threads=1) as model:
        # then one by one what stood in a block with a picture that killed its worker
        for most in (given.block, 1):
            if left := missing(paths, given.out):
                answer(model, left, given.out, given.workers, most)
    if left := missing(paths, given.out):
        text = "ended the process that was to answer it, twice"
        rows = [{"source": path, "answer": None, "error": text} for path in left]
        pyarrow.parquet.write_table(table(rows), given.out / f"killed-{os.getpid()}.parquet")
    errors = pyarrow.dataset.dataset(sorted(map(str, given.out.glob("*.parquet"))), schema=SCHEMA).to_table(["error"])
    print(f"{errors.num_rows} rows, {errors.num_rows - errors['error'].null_count} errors")


if __name__ == "__main__":
    main()
