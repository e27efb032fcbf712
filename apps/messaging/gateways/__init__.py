"""The drivers, by name. A new one: docs/gateways.md."""

from apps.messaging.gateways.base import Gateway
from apps.messaging.gateways.sandbox import SandboxGateway

_ALL: tuple[Gateway, ...] = (SandboxGateway(),)
GATEWAYS: dict[str, Gateway] = {each.driver: each for each in _ALL}


def gateway(driver: str) -> Gateway:
    """The gateway for a channel's driver. ValueError, with a sentence, when there is none."""
    if driver not in GATEWAYS:
        raise ValueError(f'This installation has no gateway "{driver}".')
    return GATEWAYS[driver]
