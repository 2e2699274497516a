"""Pictures of an archive that outgrows one machine, answered on a cluster by Ray Data, into a folder of Parquet files.

    pip install 'ray[data]'
    python examples/archive_ray.py m.onnx photos/ answers/

Every machine must find the model and the photos under the same path, as on a network drive. Run it again after anything
was killed: it goes on with the pictures that have no row yet. One machine is better off without Ray: docs/archives.md.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import pyarrow as pa
import pyarrow.dataset
import ray

import edgevit

# told once: a column without any value has no type of its own, and a folder of such files cannot be read
SCHEMA = pa.schema([("source", pa.string()), ("top1", pa.string()), ("conf", pa.float64()), ("error", pa.string())])
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def answer(pictures: pa.Table, model: str) -> pa.Table:
    """Answer the pictures of a block, on whichever machine this runs.

    They are answered in a process below Ray's own: Ray would try a picture that kills its process for ever, where
    edgevit tries it twice, and then writes a row that says so.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "rows.jsonl")
        sources = pictures["path"].to_pylist()
        edgevit.run(edgevit.RunOptions(model=model, sources=sources, to=[str(out)], jobs=1, errors="row"))
        rows = [json.loads(line) for line in out.read_text(encoding="ascii").splitlines()]
    # any other field of docs/results.md could stand here, for one that SCHEMA names
    found = [
        {"conf": row.get("top1_conf"), **{name: row.get(name) for name in ("source", "top1", "error")}} for row in rows
    ]
    return pa.Table.from_pylist(found, schema=SCHEMA)


def read(out: Path) -> pa.Table:
    """Return all rows that were written so far."""
    files = sorted(map(str, out.glob("*.parquet")))
    return pyarrow.dataset.dataset(files, schema=SCHEMA).to_table() if files else SCHEMA.empty_table()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--block", type=int, default=2000, help="pictures a block, for each of which the model is opened"
    )
    given = parser.parse_args()
    done = set(read(given.out)["source"].to_pylist())
    found = (path for path in given.photos.absolute().rglob("*") if path.suffix.lower() in SUFFIXES)
    left = [path for path in sorted(map(str, found)) if path not in done]
    if left:
        pictures = ray.data.from_items(
            [{"path": path} for path in left], override_num_blocks=-(-len(left) // given.block)
        )
        answers = pictures.map_batches(
            answer, fn_kwargs={"model": str(given.model.absolute())}, batch_format="pyarrow", batch_size=None
        )
        answers.write_parquet(str(given.out.absolute()))
    rows = read(given.out)
    print(f"{rows.num_rows} rows, {rows.num_rows - rows['error'].null_count} of them errors")


if __name__ == "__main__":
    main()
