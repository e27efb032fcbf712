"""How PostgreSQL does the engine's statements: the shape of each plan, from EXPLAIN."""

from collections.abc import Callable
from typing import Any

from django.db import connection

# By the statement's beginning: its plan, written as nodes with the index or table that each reads.
Plans = dict[str, str]


def of(work: Callable[[], Any]) -> Plans:
    """The plans of all statements that `work` makes, each as it is when it is first made."""
    plans: Plans = {}

    def explained(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(("SELECT", "UPDATE", "INSERT", "DELETE", "WITH")) and sql not in plans:
            with connection.connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
                plans[sql] = shape(cursor.fetchone()[0][0]["Plan"])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explained):
        work()
    return {" ".join(sql.split())[:100]: plan for sql, plan in plans.items()}


def shape(node: dict[str, Any]) -> str:
    """`Limit(LockRows(Index Scan engine_run_due))`, without costs and counts."""
    reads = node.get("Index Name") or node.get("Relation Name") or node.get("CTE Name")
    named = f"{node['Node Type']} {reads}" if reads else str(node["Node Type"])
    below = ", ".join(shape(child) for child in node.get("Plans", []))
    return f"{named}({below})" if below else named
