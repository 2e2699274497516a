"""Build an emulated Raspberry Pi 4: the real aarch64 Python and wheels, on a Cortex-A72 played by QEMU.

    python tools/a72/build.py DIR [--python 3.11]... [--mirror ADDRESS]
    DIR/3.11/python -m edgevit run model.onnx cat.jpg         with PYTHONPATH=. from a checkout

Nothing is installed on this machine and nothing needs root. Debian's packages come from the mirror that this machine's
own apt uses, the wheels from pip's own index; which ones is what setup.cfg asks for on a board, in the versions of
constraints.txt. What is built already is left alone. Needs an x86-64 Linux with apt-get, dpkg-deb and a C compiler.

    DIR/qemu          qemu-aarch64 with its libraries and loader
    DIR/count.so      counts instructions and cache misses (count.c)
    DIR/3.11/sysroot  Debian for aarch64 with Python: bookworm's, as in Raspberry Pi OS of that name; 3.13 is trixie's
    DIR/3.11/site     the wheels
    DIR/compiled      modules that were imported once
"""

import argparse
import configparser
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
SUITES = {"3.11": "bookworm", "3.13": "trixie"}
"""Python to the Debian, and Raspberry Pi OS, that has it."""
GLIBC = {"3.11": 36, "3.13": 41}
"""Python to the minor version of the system's C library, which says what wheels it takes."""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# all that apt keeps lies in a folder of its own, so that it knows of nothing but the mirror
APT = """
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "5";
Debug::NoLocking "true";
Dir "{folder}";
Dir::State "state";
Dir::State::status "status";
Dir::Cache "cache";
Dir::Etc "etc";
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--python", action="append", choices=SUITES, help="3.11 and 3.13 if nothing is said")
    parser.add_argument("--mirror", help="of Debian; by default that of this machine's apt")
    options = parser.parse_args()
    root: Path = options.dir.resolve()
    root.mkdir(parents=True, exist_ok=True)
    mirror = options.mirror or own_mirror()
    once(root / "qemu", lambda new: unpack(new, mirror, "bookworm", "amd64", ["qemu-user"]))
    build_counter(root / "count.so")
    for version in options.python or SUITES:
        build_system(root / version, version, mirror)
        print(f"{root / version / 'python'} runs Python {version} on the emulated Cortex-A72")


def once(target: Path, make: Callable[[Path], None]) -> None:
    """Make a folder if it is not there; it appears whole or not at all."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        new = Path(work) / "new"
        new.mkdir()
        make(new)
        new.rename(target)


def own_mirror() -> str:
    """Return where this machine's own apt gets Debian's packages."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    mirrors = sorted({address for address in found if "security" not in address})
    if not mirrors:
        sys.exit("this machine's apt knows no mirror of Debian; run `apt-get update`, or give one with --mirror")
    return mirrors[0]


def unpack(folder: Path, mirror: str, suite: str, architecture: str, packages: list[str]) -> None:
    """Unpack packages and all they depend on into a folder, without touching this machine's own apt."""
    with tempfile.TemporaryDirectory() as work:
        for name in ("state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
            (Path(work) / name).mkdir(parents=True)
        (Path(work) / "state" / "status").touch()
        (Path(work) / "etc" / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n")
        configuration = Path(work) / "apt.conf"
        configuration.write_text(APT.format(folder=work, architecture=architecture))
        environment = os.environ | {"APT_CONFIG": str(configuration)}
        for arguments in (["update"], ["install", "--yes", "--download-only", *packages]):
            subprocess.run(["apt-get", "-qq", *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)
        for package in sorted(Path(work).glob("cache/archives/*.deb")):
            subprocess.run(["dpkg-deb", "--extract", package, folder], check=True)
    for name in ("bin", "lib", "lib64"):
        # Debian has merged these into /usr, which is the work of a package's script
        if (folder / "usr" / name).exists() and not (folder / name).exists():
            (folder / name).symlink_to(f"usr/{name}")


def build_counter(target: Path) -> None:
    source = HERE / "count.c"
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["cc", "-O2", "-Wall", "-fPIC", "-shared", "-o", target, source], check=True)


def build_system(folder: Path, version: str, mirror: str) -> None:
    packages = [f"python{version}-minimal", f"libpython{version}-stdlib", "libstdc++6", "libgomp1", "zlib1g"]
    once(folder / "sysroot", lambda new: unpack(new, mirror, SUITES[version], "arm64", packages))
    describe_board(folder / "sysroot")
    launcher = folder / "sysroot" / "usr" / "bin" / "python-a72"
    shutil.copy2(HERE / "python.sh", launcher)
    (folder / "sysroot" / "usr" / "bin" / "python3").unlink(missing_ok=True)
    (folder / "sysroot" / "usr" / "bin" / "python3").symlink_to(f"python{version}")
    (folder / "python").unlink(missing_ok=True)
    (folder / "python").symlink_to("sysroot/usr/bin/python-a72")
    once(folder / "site", lambda new: install_wheels(new, version))


def describe_board(sysroot: Path) -> None:
    """Let the system say of itself what a Raspberry Pi 4 says, in place of this machine's /proc and /sys."""
    shutil.copytree(PROJECT / "tests" / "data" / "machines" / "rpi4", sysroot, dirs_exist_ok=True)
    cpus = sysroot / "sys" / "devices" / "system" / "cpu"
    for number in range(4):
        files = {
            "topology/physical_package_id": "0",
            "topology/core_id": str(number),
            "topology/core_siblings_list": "0-3",
            "cpufreq/cpuinfo_max_freq": "1500000",
            "cpufreq/cpuinfo_min_freq": "600000",
            "regs/identification/midr_el1": "0x00000000410fd083",  # OpenVINO asks for it
        }
        for name, text in files.items():
            path = cpus / f"cpu{number}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
    for name in ("online", "possible", "present"):
        (cpus / name).write_text("0-3\n")


def install_wheels(site: Path, version: str) -> None:
    """Install what a board gets, the TFLite interpreter and what fetches models, from wheels for this system alone."""
    setup = configparser.ConfigParser()
    setup.read(PROJECT / "setup.cfg")
    wanted = [
        *setup["options"]["install_requires"].splitlines(),
        *(line for extra in ("tflite", "update") for line in setup["options.extras_require"][extra].splitlines()),
    ]
    download(site, version, [line for line in wanted if line and line[0] != "#"])


def download(site: Path, version: str, wanted: list[str], *options: str) -> None:
    """Install wheels for the board's Python into a folder, in the versions of constraints.txt where it has them."""
    platforms = ["manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, GLIBC[version] + 1))]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--only-binary=:all:"]
    command += ["--python-version", version, "--implementation", "cp", "--target", str(site)]
    command += [f"--platform={platform}" for platform in platforms]
    command += ["--constraint", str(HERE / "constraints.txt"), *options, *wanted]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
