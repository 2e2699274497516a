"""From a PyTorch checkpoint to a vision model that runs on a small board: export, check, run."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgevit.runtime.classifier import Classifier as Classifier
    from edgevit.runtime.classifier import load as load

__version__ = "0.1.0"

__all__ = ["Classifier", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import the runtime only when it is asked for, so that `import edgevit` costs nothing."""
    if name in ("Classifier", "load"):
        from edgevit.runtime import classifier

        return getattr(classifier, name)
    raise AttributeError(f"module 'edgevit' has no attribute {name!r}")
