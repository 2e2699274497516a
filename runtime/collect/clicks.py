"""What the buttons of the page do: the picture that is shown goes into the folder of a class."""

import threading
from collections.abc import Mapping, Sequence

from edgevit.errors import EdgevitError
from edgevit.runtime.collect.folder import PhotoFolder
from edgevit.runtime.serve.view import View
from edgevit.runtime.sinks.pictures import jpeg

QUALITY = 95


class ClassButtons:
    """Saves what the page shows; may be called from several threads."""

    def __init__(self, view: View, folder: PhotoFolder, labels: Sequence[str]) -> None:
        self._view, self._folder, self.labels = view, folder, tuple(labels)
        self._guard = threading.Lock()
        self._saved: tuple[int, str] | None = None
        self.kept = 0
        """How many photos were saved."""

    def counts(self) -> Mapping[str, int]:
        with self._guard:
            return {**dict.fromkeys(self.labels, 0), **self._folder.counts()}

    def keep(self, label: str) -> str:
        """Save the picture that is shown; return what to tell.

        Raises:
            ValueError: there is no such class, no picture yet, or this one was saved there already.
            OSError: it cannot be written.
        """
        if label not in self.labels:
            raise ValueError(f"there is no class {label!r}")
        shown = self._view.newest()
        if shown is None:
            raise ValueError("there is no picture yet")
        number, image = shown
        photo = jpeg(image, QUALITY)
        with self._guard:
            if self._saved == (number, label):
                raise ValueError(f"this picture is in {label} already; wait for the next one")
            try:
                path = self._folder.save(label, image, photo)
            except OSError:
                raise
            except EdgevitError as error:
                raise ValueError(str(error)) from error
            self._saved = (number, label)
            self.kept += 1
            return f"{path.name} is in {label}"
