"""The build for a board, `make board-wheel`: EDGEVIT_BOARD names it in the version; all else is in setup.cfg."""

import os
import re
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

BUILD = os.environ.get("EDGEVIT_BOARD")
FOLDER = Path("build", "board")


class BoardBuild(build_py):
    """Completes the version within the package, too: `edgevit --version` and what boards tell have it from there."""

    def run(self) -> None:
        super().run()
        module = Path(self.build_lib, "edgevit", "__init__.py")
        text, count = re.subn(
            r'^(__version__ = "[^"+]+)[^"]*', rf"\g<1>+{BUILD}", module.read_text("utf-8"), flags=re.MULTILINE
        )
        assert count == 1, f"{count} versions in {module}"
        module.write_text(text, "utf-8")


if BUILD:
    FOLDER.mkdir(parents=True, exist_ok=True)
    # without the exporter's weights, and with a version of its own: pip passes over a wheel of the version that it has
    setup(
        exclude_package_data={"edgevit.export": ["weights/*"]},
        cmdclass={"build_py": BoardBuild},
        # a build folder of its own: what an earlier build left in another one would get into the wheel
        options={
            "build": {"build_base": str(FOLDER)},
            "egg_info": {"tag_build": f"+{BUILD}", "egg_base": str(FOLDER)},
        },
    )
else:
    setup()
