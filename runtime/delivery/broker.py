"""Which MQTT broker, as whom, and how: read from the address and the environment."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from edgevit.runtime.addresses.address import login_from
from edgevit.runtime.addresses.destinations import Target
from edgevit.system.identity import board_identity


@dataclass(frozen=True)
class Broker:
    """Where, as whom, and how to publish."""

    host: str
    port: int
    topic: str
    """Base of all topics."""
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    retain: bool = True
    """Have the broker keep the last message of each state."""
    discovery: str | None = None
    """Home Assistant's discovery prefix; None to announce nothing."""
    client_id: str | None = None
    """None for one that is made of the board, the topic and the run."""
    ca: str | None = None
    """File of the authorities to trust; None for the system's."""
    cert: str | None = None
    key: str | None = None
    expire_after_s: int | None = None
    """When Home Assistant forgets a label that is not sent again; None for never."""
    check: str | None = None
    """File that is touched when the board is asked to look for a newer model; None where it does not listen."""

    @property
    def name(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt{'s' if self.tls else ''}://{host}:{self.port}/{self.topic}"

    @classmethod
    def from_target(cls, target: Target, environment: Mapping[str, str]) -> "Broker":
        """Read mqtt://[USER@]HOST[:PORT]/TOPIC; user and password also from EDGEVIT_MQTT_USER and _PASSWORD[_FILE].

        Raises:
            OptionError: a secret cannot be read, or there is a password without a user.
        """
        url = login_from(environment, "EDGEVIT_MQTT", target.parts)
        tls = url.scheme.lower() == "mqtts"
        options = target.options
        return cls(
            host=url.host,
            port=url.port or (8883 if tls else 1883),
            topic=unquote(url.path.strip("/")) or "edgevit",
            tls=tls,
            user=url.user,
            password=url.password,
            retain=options.get("retain", True),
            discovery=options.get("discovery"),
            client_id=options.get("client"),
            expire_after_s=options.get("expire_after"),
            **{name: options.get(name) for name in ("ca", "cert", "key", "check")},
        )

    def identity(self, run: str, root: Path = Path("/")) -> str:
        """Return the client id: the same for the same run on the same board, another one for any other.

        Args:
            run: what tells runs on one board apart, such as the folder of their spools.
            root: where the machine's files are.
        """
        if self.client_id is not None:
            return self.client_id
        made_of = "\n".join([board_identity(root), self.topic, run])
        return f"edgevit-{hashlib.sha256(made_of.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
