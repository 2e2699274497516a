"""The table of all models: sizes computed from the models (a test recomputes them), accuracies as published."""

from edgevit.models.zoo.detection import DETECTORS
from edgevit.models.zoo.efficientvit import EFFICIENTVITS
from edgevit.models.zoo.efficientvit_seg import EFFICIENTVIT_SEGS
from edgevit.models.zoo.fastervit import FASTERVITS
from edgevit.models.zoo.sbcformer import SBCFORMERS
from edgevit.models.zoo.transformers import TRANSFORMERS

MODELS = {
    spec.name: spec
    for spec in (*SBCFORMERS, *EFFICIENTVITS, *FASTERVITS, *TRANSFORMERS, *EFFICIENTVIT_SEGS, *DETECTORS)
}
"""In the order in which they are listed."""
