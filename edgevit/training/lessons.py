"""What a user says of a teacher, checked before a picture is read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from edgevit.errors import OptionError
from edgevit.schema import Range, check_options, option_name
from edgevit.training.recipe import Recipe
from edgevit.training.teacher import Teacher, open_teacher

WEIGHT, TEMPERATURE = 1.0, 2.0
"""How much a teacher's answers count, and how they are softened, where nothing else is said."""


@dataclass(frozen=True)
class Lessons:
    """The options of `train` that are about a teacher; None where nothing was said."""

    teacher: Path | None = None
    teacher_weight: Annotated[float, Range(0)] | None = None
    temperature: float | None = None
    teacher_mean: Sequence[float] | None = None
    teacher_std: Sequence[float] | None = None
    unlabelled: Path | None = None

    def __post_init__(self) -> None:
        """Check every value once.

        Raises:
            OptionError: a value is of another type, or out of its range; or there is no teacher that it could be about.
        """
        check_options(self)
        said = [option_name(name) for name, value in vars(self).items() if value is not None]
        if said and self.teacher is None:
            raise OptionError(f"{said[0]} is about a teacher, and there is none; give --teacher FILE, or leave it out")

    def open(self, threads: int | None) -> Teacher | None:
        """Return the teacher; None where there is none.

        Raises:
            EdgevitError: see open_teacher.
        """
        if self.teacher is None:
            return None
        return open_teacher(self.teacher, self.teacher_mean, self.teacher_std, threads)

    def continuing(self, recipe: Recipe) -> "Lessons":
        """Return these lessons for a run that goes on: what was left out of them is as in its recipe."""
        if self.teacher is None or recipe.teacher is None:
            return self
        names = ("teacher_weight", "temperature")
        return replace(self, **{name: getattr(recipe, name) for name in names if getattr(self, name) is None})

    def for_recipe(self, teacher: Teacher | None) -> dict[str, Any]:
        """Return what a recipe says of the teacher, who was opened; nothing where there is none."""
        if teacher is None:
            return {}
        return {
            "teacher": teacher.fingerprint,
            "teacher_weight": WEIGHT if self.teacher_weight is None else self.teacher_weight,
            "temperature": TEMPERATURE if self.temperature is None else self.temperature,
        }


def as_words(teacher: Teacher, recipe: Recipe, unlabelled: Path | None) -> list[str]:
    """Return the words of a command line that say the same lessons once more."""
    words = ["--teacher", str(teacher.path)]
    preprocess = teacher.classifier.preprocess
    if teacher.classifier.manifest is None:
        words += ["--teacher-mean", ",".join(map(str, preprocess.mean))]
        words += ["--teacher-std", ",".join(map(str, preprocess.std))]
    words += [] if recipe.teacher_weight == WEIGHT else ["--teacher-weight", f"{recipe.teacher_weight:g}"]
    words += [] if recipe.temperature == TEMPERATURE else ["--temperature", f"{recipe.temperature:g}"]
    return words if unlabelled is None else [*words, "--unlabelled", str(unlabelled)]
