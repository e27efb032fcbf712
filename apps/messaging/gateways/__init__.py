"""The drivers, by name. A new one is a module here and a line in Driver."""

from functools import cache

from apps.messaging.gateways.base import Gateway
from apps.messaging.gateways.sandbox import SandboxGateway


@cache
def gateway(driver: str) -> Gateway:
    """The gateway for a channel's driver; KeyError when there is none."""
    return {SandboxGateway.driver: SandboxGateway()}[driver]
