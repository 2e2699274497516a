"""A model's time on a Raspberry Pi 4 and its accuracy, by input size."""

from typing import Any

from edgevit.cli.board_times import board_basis, board_ms
from edgevit.cli.tables import table
from edgevit.models.zoo.sizes import find_accuracies, find_works

WAYS = ("tflite int8", "tflite fp32", "onnx int8", "onnx fp32")
"""Formats and precisions, a column each."""


def sizes_document(name: str) -> list[dict[str, Any]]:
    """Return what is known of each input size as JSON values: estimated milliseconds by file, and top-1 in percent."""
    accuracies = {found.size: found for found in find_accuracies(name)}
    by_size: dict[tuple[int, int], dict[str, Any]] = {}
    for work in find_works(name):
        row = by_size.setdefault(work.size, {"size": list(work.size), "rpi4_ms": {}, "accuracy": None})
        row["rpi4_ms"][f"{work.format} {work.precision}"] = round(board_ms(work), 1)
        if known := accuracies.get(work.size):
            row["accuracy"] = {"weights": known.weights, "top1": known.top1, "images": known.images}
    return list(by_size.values())


def describe_sizes(name: str) -> str:
    """Return a table of time by input size, and of accuracy where it was measured; "" where nothing was counted."""
    sizes = sizes_document(name)
    if not sizes:
        return ""
    measured = next((row["accuracy"] for row in sizes if row["accuracy"]), None)
    heads = ["INPUT", *(way.upper() for way in WAYS), *([f"TOP-1, {measured['weights']}".upper()] if measured else [])]
    rows = [
        [
            "x".join(map(str, row["size"])),
            *(f"{row['rpi4_ms'][way]:.1f} ms" if way in row["rpi4_ms"] else "-" for way in WAYS),
            *([f"{row['accuracy']['top1']:.1f} %" if row["accuracy"] else "-"] if measured else []),
        ]
        for row in sizes
    ]
    about = f"Raspberry Pi 4 by input size, estimated for {board_basis()}, as --budget-ms counts:"
    notes = [f"TOP-1: of the int8 TFLite file, on {measured['images']:,} test pictures."] if measured else []
    return "\n".join([about, table([heads, *rows]), *notes])
