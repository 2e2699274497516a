"""Where a board keeps what it was told."""

import os
from collections.abc import Mapping
from pathlib import Path

from edgevit.runtime.service.place import check_name, secrets_folder
from edgevit.runtime.update.enrollment import FILE


def enrollment_path(service: str, user: bool, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where a service's enrolment lies: beside its secrets.

    Raises:
        OptionError: no service can have that name.
    """
    return secrets_folder(check_name(service, "--service"), user, environment) / FILE
