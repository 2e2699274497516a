"""What a web hook signs, as the standard and docs/sinks.md say."""

import base64
import re
import time
from typing import Any

from edgevit.runtime.delivery.webhook import signature, signing_key
from tests.places import DOCS


def test_signature_is_that_of_the_specifications_own_example() -> None:
    # the example of the specification's reference libraries
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    identity, timestamp, body = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    assert signature(key, identity, timestamp, body) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_documented_check_accepts_what_is_sent_and_nothing_else() -> None:
    page = (DOCS / "sinks.md").read_text()
    (code,) = re.findall(r"```python\n(.*?def is_genuine.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    body, now = b'{"id": "7"}', time.time()
    headers = {"webhook-id": "7", "webhook-timestamp": str(int(now))}
    headers["webhook-signature"] = signature(signing_key("secret"), "7", int(now), body)
    genuine = names["is_genuine"]
    assert genuine(headers, body, "secret")
    assert not genuine(headers, body + b" ", "secret")
    assert not genuine(headers, body, "guess")
    assert not genuine({**headers, "webhook-id": "8"}, body, "secret")
    late = {**headers, "webhook-timestamp": str(int(now) - 3600)}
    late["webhook-signature"] = signature(signing_key("secret"), "7", int(now) - 3600, body)
    assert not genuine(late, body, "secret")
    secret = "whsec_" + base64.b64encode(b"key").decode()
    headers["webhook-signature"] = signature(b"key", "7", int(now), body)
    assert genuine(headers, body, secret)
