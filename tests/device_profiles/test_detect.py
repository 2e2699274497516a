"""Recognizing the board: from what /proc holds on it, as in tests/data/machines."""

import dataclasses
import struct
from pathlib import Path

import pytest

from edgevit.device_profiles import all_profiles, detect_profile, find_profile
from edgevit.device_profiles.detect import match_profile
from edgevit.device_profiles.evidence import (
    Evidence,
    core_parts,
    cpuinfo_features,
    hwcap_features,
    read_auxv,
    read_evidence,
)
from edgevit.device_profiles.library import likely_profiles
from edgevit.errors import UnknownNameError
from tests.places import MACHINES

RPI4_HWCAP = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 7 | 1 << 11
"""fp asimd evtstrm crc32 cpuid, by Linux' arch/arm64/include/uapi/asm/hwcap.h."""


@pytest.fixture(autouse=True)
def no_own_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("EDGEVIT_PROFILE", raising=False)


def evidence_of(machine: str) -> Evidence:
    """Return what the files say, with the architecture that the machine of the files has."""
    return read_evidence(MACHINES / machine)._replace(machine="x86_64" if machine == "pc" else "aarch64")


@pytest.mark.parametrize(
    ("machine", "profile", "why"),
    [
        ("rpi3bplus", "rpi3bplus", "the board says it is 'Raspberry Pi 3 Model B Plus Rev 1.3'"),
        ("rpizero2w", "rpizero2w", "the board says it is 'Raspberry Pi Zero 2 W Rev 1.0'"),
        ("rpi4", "rpi4", "the board says it is 'Raspberry Pi 4 Model B Rev 1.4'"),
        ("rpi5", "rpi5", "the board says it is 'Raspberry Pi 5 Model B Rev 1.0'"),
        ("orangepi5", "orangepi5", "the board says it is 'Orange Pi 5'"),
        ("odroidn2plus", "odroidn2plus", "the board says it is 'Hardkernel ODROID-N2Plus'"),
        ("unknown-dotprod", "generic-armv8.2-dotprod", "no profile knows the board 'Pine64 Quartz64 Model A'"),
        ("unknown-old", "generic-armv8.0", "no profile knows the board 'Libre Computer AML-S905X-CC'"),
        ("pc", "x86-64", "the processor is x86_64 with avx2"),
    ],
)
def test_board_is_recognized_by_its_files(machine: str, profile: str, why: str) -> None:
    detection = detect_profile(evidence_of(machine))
    assert detection.profile == find_profile(profile)
    assert why in detection.why


@pytest.mark.parametrize(
    ("board", "profile"),
    [
        ("Raspberry Pi Compute Module 4 Rev 1.0", "cm4"),
        ("Raspberry Pi 400 Rev 1.0", "rpi4"),
        ("Raspberry Pi 500 Rev 1.0", "rpi5"),
        ("Radxa ROCK 5 Model B", "rock5b"),
        ("Radxa ROCK 5B", "rock5b"),
        ("Xunlong Orange Pi 5 Plus", "orangepi5"),
        ("NVIDIA Jetson Nano Developer Kit", "jetsonnano"),
        ("BeagleBoard.org BeagleBone AI-64", "beaglebone-ai64"),
        ("Raspberry Pi 3 Model B Rev 1.2", "generic-armv8.0"),
        ("Raspberry Pi 51", "generic-armv8.0"),
        ("", "generic-armv8.0"),
    ],
)
def test_device_tree_names_of_the_kernels_are_known(board: str, profile: str) -> None:
    evidence = Evidence(board, "aarch64", {}, frozenset({"asimd"}))
    assert detect_profile(evidence).profile == find_profile(profile)


def test_container_without_device_tree_is_recognized_by_cpuinfo(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_bytes((MACHINES / "rpi4" / "proc" / "cpuinfo").read_bytes())
    assert read_evidence(tmp_path).board == "Raspberry Pi 4 Model B Rev 1.4"


def test_32_bit_process_on_an_unknown_board_gets_no_profile() -> None:
    detection = detect_profile(Evidence("", "32-bit", {}, frozenset()))
    assert detection.profile is None
    assert detection.why == "no profile fits a 32-bit processor"


def test_machine_without_proc_has_no_evidence(tmp_path: Path) -> None:
    evidence = read_evidence(tmp_path)
    assert (evidence.board, evidence.parts, evidence.features) == ("", {}, frozenset())


def test_environment_overrides_the_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEVIT_PROFILE", "pi5")
    detection = detect_profile(evidence_of("rpi4"))
    assert detection.profile == find_profile("rpi5")
    assert detection.why == "EDGEVIT_PROFILE is pi5"
    monkeypatch.setenv("EDGEVIT_PROFILE", "pi55")
    with pytest.raises(UnknownNameError, match="no device profile named 'pi55'"):
        detect_profile(evidence_of("rpi4"))


def test_of_the_shipped_profiles_only_those_that_may_fit_are_read() -> None:
    assert [profile.name for profile in likely_profiles("Raspberry Pi 4 Model B Rev 1.4", [])] == ["rpi4"]
    assert [profile.name for profile in likely_profiles("", ["x86-64"])] == ["x86-64"]
    for profile in all_profiles():
        for start in profile.device_tree:
            assert profile in likely_profiles(f"{start} Rev 9", []), start


def test_longer_beginning_of_the_name_wins() -> None:
    general = dataclasses.replace(find_profile("rpi4"), name="general", device_tree=("Raspberry Pi",))
    evidence = evidence_of("rpi4")
    assert match_profile(evidence, [general, *all_profiles()]).profile == find_profile("rpi4")
    assert match_profile(evidence, [general]).profile == general


def test_features_come_from_the_bits_the_kernel_gives_the_process() -> None:
    bits = RPI4_HWCAP | 1 << 9 | 1 << 10 | 1 << 20
    data = struct.pack("10P", 33, 0x7FFF0000, 16, bits, 26, 1 << 13, 0, 0, 99, 1)
    auxv = read_auxv(data)
    assert auxv[16] == bits
    assert hwcap_features(auxv) == {"asimd", "fp16", "dotprod", "i8mm"}
    assert hwcap_features({16: RPI4_HWCAP}) == {"asimd"}
    assert read_auxv(data[:-3]) == {33: 0x7FFF0000, 16: bits, 26: 1 << 13}, "a short read is no error"


def test_features_of_cpuinfo_are_those_of_every_core() -> None:
    assert evidence_of("orangepi5").features == {"asimd", "fp16", "dotprod"}
    mixed = (MACHINES / "orangepi5" / "proc" / "cpuinfo").read_text().replace(" asimddp", "", 1)
    assert "asimddp" in mixed
    assert cpuinfo_features(mixed) == {"asimd", "fp16"}


def test_cores_of_a_big_little_board_are_told_apart() -> None:
    parts = core_parts((MACHINES / "orangepi5" / "proc" / "cpuinfo").read_text())
    big = {number for number, part in parts.items() if part in find_profile("orangepi5").big_parts}
    assert big == {4, 5, 6, 7}
    assert set(core_parts((MACHINES / "odroidn2plus" / "proc" / "cpuinfo").read_text()).values()) == {
        "0x41:0xd03",
        "0x41:0xd09",
    }


def test_garbage_in_cpuinfo_is_no_error() -> None:
    assert core_parts("CPU part : 0xd08\nprocessor : x\n:::\nCPU implementer : 0x41\n\0") == {}
