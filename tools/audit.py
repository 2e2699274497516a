"""Look the installed packages up among known holes: python tools/audit.py, or `make audit`.

Runs pip-audit. Exit code 1 where a package has a hole; 0 where none has, or where the advisory service cannot be
reached, which one line says; 2 where pip-audit is not installed.
"""

import importlib.util
import json
import subprocess
import sys


def main() -> int:
    if importlib.util.find_spec("pip_audit") is None:
        print("audit: pip-audit is not installed; run: make audit, or pip install pip-audit")
        return 2
    command = [sys.executable, "-m", "pip_audit", "--skip-editable", "--progress-spinner", "off", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"audit: nothing could be looked up, as the advisory service cannot be reached ({ascii(reason)[:200]})")
        return 0
    holes = [
        f"{package['name']} {package['version']}: {hole['id']}, fixed in {' '.join(hole['fix_versions']) or 'none yet'}"
        for package in packages
        for hole in package.get("vulns", ())
    ]
    print("\n".join(holes) or f"audit: no known hole in {len(packages)} packages")
    return 1 if holes else 0


if __name__ == "__main__":
    sys.exit(main())
