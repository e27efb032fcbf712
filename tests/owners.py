"""Holders of leases that are no more."""

from apps.core import due


def of_a_dead_process() -> str:
    """One of this boot and pid namespace whose id another process has by now."""
    host, boot, namespace, pid, start, _ = due.owner().split("/")
    return f"{host}/{boot}/{namespace}/{pid}/{int(start) - 1}/{'0' * 12}"
