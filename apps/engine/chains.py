"""Chains of runs, one having started the next by routing or by a CRM change, and how far one may
go (product.md 0.16)."""

from collections.abc import Sequence

from django.conf import settings

from apps.engine.models import Attempt, Run

Chain = list[int]


def after(run: Run) -> Chain:
    """The chain of what this run starts: the connectors of the runs before, the first one first."""
    return [*run.chain, run.connector_id]


def limit(chain: Chain, connector_id: int) -> str:
    """Why a run of the connector after `chain` must not go on; empty when it may."""
    if chain.count(connector_id) >= settings.MAX_ROTATIONS:
        return f"Loop detected: stopped after {settings.MAX_ROTATIONS} rotations"
    if len(chain) > settings.MAX_HOPS:
        return f"Chain too long: stopped after {settings.MAX_HOPS} hops"
    return ""


def tell(runs: Sequence[Run], why: str) -> None:
    """Write into the timelines of runs that a limit stopped."""
    Attempt.objects.bulk_create(
        Attempt(
            run_id=run.pk,
            kind="loop_guard",
            label="Loop guard",
            result=Attempt.Result.STOPPED,
            note=why,
            at=run.started_at,
        )
        for run in runs
    )
