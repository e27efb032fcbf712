"""The drivers, by name. A new one is a module here, a line in GATEWAYS and one in Driver."""

from apps.messaging.gateways.base import Gateway
from apps.messaging.gateways.sandbox import SandboxGateway

_ALL: tuple[Gateway, ...] = (SandboxGateway(),)
GATEWAYS: dict[str, Gateway] = {each.driver: each for each in _ALL}


def gateway(driver: str) -> Gateway:
    """The gateway for a channel's driver; KeyError when there is none."""
    return GATEWAYS[driver]
