"""The build for a board: with EDGEVIT_BOARD set, a wheel without the exporter's weights; all else is in setup.cfg."""

import os

from setuptools import setup

if os.environ.get("EDGEVIT_BOARD"):
    # a build folder of its own: what an earlier build left in another one would get into the wheel
    setup(exclude_package_data={"edgevit.export": ["weights/*"]}, options={"build": {"build_base": "build/board"}})
else:
    setup()
