"""Run an edgevit command in the emulation, and print the most memory that it took in MB (10^6 bytes), as its last line.

    DIR/3.11/python tools/a72/peak.py run MODEL PHOTO        with PYTHONPATH=. from a checkout

The peak that the kernel tells is of emulator and program together. What is mapped outside the program's own addresses,
most of it translated code, is the emulator's, and is taken off by what it is at the end.
"""

import atexit
import re
import sys
from pathlib import Path

PROCESS = Path("/proc/self")


def own_peak_mb() -> float:
    # the emulator shows the program's own mappings in maps, and the kernel's truth in smaps; addresses are the same
    lines = (PROCESS / "maps").read_text().splitlines()
    own = [tuple(int(end, 16) for end in line.split()[0].split("-")) for line in lines]
    others_kb, inside = 0, False
    for line in (PROCESS / "smaps").read_text().splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            first, last = int(found[1], 16), int(found[2], 16)
            inside = any(low <= first and last <= high for low, high in own)
        elif line.startswith("Rss:") and not inside:
            others_kb += int(line.split()[1])
    (peak_kb,) = re.findall(r"VmHWM:\s+(\d+) kB", (PROCESS / "status").read_text())
    return (int(peak_kb) - others_kb) * 1024 / 1e6


if __name__ == "__main__":
    atexit.register(lambda: print(round(own_peak_mb(), 1)))
    from edgevit.cli import main

    main(sys.argv[1:])
