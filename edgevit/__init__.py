"""From a PyTorch checkpoint to a vision model that runs on a small board: export, check, run.

What a program needs on a board or a PC is here; docs/python.md describes each name. Exporting is in edgevit.export,
training in edgevit.training.
"""

import importlib
import os.path
from typing import TYPE_CHECKING, Any

# in a checkout made without symbolic links, as on Windows, the rooms are found beside this folder
__path__.extend([os.path.dirname(__path__[0])] if os.path.isfile(os.path.join(__path__[0], "runtime")) else [])

if TYPE_CHECKING:
    from edgevit.errors import BrokerError as BrokerError
    from edgevit.errors import CheckpointError as CheckpointError
    from edgevit.errors import ClosedError as ClosedError
    from edgevit.errors import DataError as DataError
    from edgevit.errors import DownloadError as DownloadError
    from edgevit.errors import EdgevitError as EdgevitError
    from edgevit.errors import GateError as GateError
    from edgevit.errors import ImageError as ImageError
    from edgevit.errors import MissingExtraError as MissingExtraError
    from edgevit.errors import MissingProgramError as MissingProgramError
    from edgevit.errors import ModelFileError as ModelFileError
    from edgevit.errors import OptionError as OptionError
    from edgevit.errors import OutputError as OutputError
    from edgevit.errors import ProcessLostError as ProcessLostError
    from edgevit.errors import ProfileError as ProfileError
    from edgevit.errors import SiteError as SiteError
    from edgevit.errors import SourceLostError as SourceLostError
    from edgevit.errors import StatusError as StatusError
    from edgevit.errors import UnknownModelError as UnknownModelError
    from edgevit.errors import UnknownNameError as UnknownNameError
    from edgevit.errors import UnsupportedSystemError as UnsupportedSystemError
    from edgevit.errors import UpdateError as UpdateError
    from edgevit.errors import WorkerError as WorkerError
    from edgevit.runtime.classifier import Classifier as Classifier
    from edgevit.runtime.collect.collect import CollectSummary as CollectSummary
    from edgevit.runtime.collect.collect import collect as collect
    from edgevit.runtime.collect.options import CollectOptions as CollectOptions
    from edgevit.runtime.detection.result import Detections as Detections
    from edgevit.runtime.detector import Detector as Detector
    from edgevit.runtime.evaluation.validate import validate as validate
    from edgevit.runtime.events.counts import CountRule as CountRule
    from edgevit.runtime.events.counts import CountRules as CountRules
    from edgevit.runtime.events.event import Event as Event
    from edgevit.runtime.events.labels import UNKNOWN as UNKNOWN
    from edgevit.runtime.events.labels import LabelRules as LabelRules
    from edgevit.runtime.events.quality_alarms import HealthRules as HealthRules
    from edgevit.runtime.events.watch import Watch as Watch
    from edgevit.runtime.images.regions import Region as Region
    from edgevit.runtime.loading import load as load
    from edgevit.runtime.moment import Moment as Moment
    from edgevit.runtime.overview.summary import DataSummary as DataSummary
    from edgevit.runtime.overview.summary import describe_data as describe_data
    from edgevit.runtime.results import Result as Result
    from edgevit.runtime.run.options import RunOptions as RunOptions
    from edgevit.runtime.run.run import run as run
    from edgevit.runtime.run.summary import RunProgress as RunProgress
    from edgevit.runtime.run.summary import RunSummary as RunSummary
    from edgevit.runtime.segmentation import Segmentation as Segmentation
    from edgevit.runtime.segmenter import Segmenter as Segmenter
    from edgevit.runtime.sources.stop import Stop as Stop

__version__ = "0.1.0"

_HOMES = {
    "edgevit.errors": (
        *("CheckpointError", "ClosedError", "DataError", "DownloadError", "EdgevitError", "GateError", "ImageError"),
        *("MissingExtraError", "MissingProgramError", "ModelFileError", "OptionError", "OutputError", "ProfileError"),
        *("BrokerError", "ProcessLostError", "SiteError", "StatusError", "UpdateError"),
        *("SourceLostError", "UnknownModelError", "UnknownNameError", "UnsupportedSystemError"),
        "WorkerError",
    ),
    "edgevit.runtime.classifier": ("Classifier",),
    "edgevit.runtime.collect.collect": ("CollectSummary", "collect"),
    "edgevit.runtime.collect.options": ("CollectOptions",),
    "edgevit.runtime.detector": ("Detector",),
    "edgevit.runtime.detection.result": ("Detections",),
    "edgevit.runtime.evaluation.validate": ("validate",),
    "edgevit.runtime.events.counts": ("CountRule", "CountRules"),
    "edgevit.runtime.events.event": ("Event",),
    "edgevit.runtime.events.labels": ("UNKNOWN", "LabelRules"),
    "edgevit.runtime.events.quality_alarms": ("HealthRules",),
    "edgevit.runtime.events.watch": ("Watch",),
    "edgevit.runtime.images.regions": ("Region",),
    "edgevit.runtime.loading": ("load",),
    "edgevit.runtime.moment": ("Moment",),
    "edgevit.runtime.overview.summary": ("DataSummary", "describe_data"),
    "edgevit.runtime.results": ("Result",),
    "edgevit.runtime.run.options": ("RunOptions",),
    "edgevit.runtime.run.run": ("run",),
    "edgevit.runtime.run.summary": ("RunProgress", "RunSummary"),
    "edgevit.runtime.segmentation": ("Segmentation",),
    "edgevit.runtime.segmenter": ("Segmenter",),
    "edgevit.runtime.sources.stop": ("Stop",),
}
"""Module to the names that live in it; imported when one is asked for, so that `import edgevit` costs nothing."""

__all__ = ["__version__", *(name for names in _HOMES.values() for name in names)]  # noqa: PLE0604 (all are text)


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'edgevit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
