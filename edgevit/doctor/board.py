"""Checks of the board as a whole: is it known, and does the user's model answer right on it?"""

from collections.abc import Iterator

from edgevit.device_profiles import detect_profile
from edgevit.device_profiles.evidence import read_evidence
from edgevit.doctor.environment import Environment, Finding
from edgevit.errors import EdgevitError


def check_profile(env: Environment) -> Iterator[Finding]:
    """Threads, cores and formats come from the board's profile."""
    try:
        detection = detect_profile(read_evidence(env.root))
    except EdgevitError as error:
        yield Finding("profile", "fail", str(error), "edgevit profiles; correct or unset EDGEVIT_PROFILE")
        return
    if detection.profile is None:
        yield Finding("profile", "warn", detection.why, "name one: export EDGEVIT_PROFILE=generic-armv8.0")
    else:
        yield Finding("profile", "ok", f"{detection.profile.name}: {detection.why}")


def check_model(env: Environment) -> Iterator[Finding]:
    """The model's own self-test, in a process of its own: a wrong kernel may kill it."""
    if env.model is None:
        return
    outcome = env.run(env.python, "-m", "edgevit", "selftest", str(env.model), timeout_s=300)
    again = f"edgevit selftest {env.model}; export the model again on the PC"
    if outcome is None:
        yield Finding("model", "fail", f"the self-test of {env.model} did not end within five minutes", again)
    elif outcome.signal_name:
        text = f"the self-test of {env.model} dies with {outcome.signal_name}"
        yield Finding("model", "fail", text, "pip install --upgrade onnxruntime")
    elif outcome.code != 0:
        yield Finding("model", "fail", outcome.last_error.removeprefix("edgevit: "), again)
    else:
        yield Finding("model", "ok", " ".join(outcome.out.split()))
