"""A model's class names in a line, and what to do where it has none."""

from edgevit.runtime.labels import numbered_labels


def describe_labels(labels: tuple[str, ...]) -> str:
    """Return how many names there are and the first of them; of numbers in their place, how to give names."""
    if labels == numbered_labels(len(labels)):
        return f"none; answers are like {labels[-1]!r}; give edgevit export --labels FILE"
    return f"{len(labels):,}: {shortened(labels)}"


def shortened(names: tuple[str, ...], most: int = 12) -> str:
    """Return the first of many names, and how many more there are."""
    return ", ".join(names[:most]) + (f", ... ({len(names) - most} more)" if len(names) > most else "")
