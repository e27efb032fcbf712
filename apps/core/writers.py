"""Who is writing right now. A transaction may write on the strength of what it read a moment ago:
whoever has to find all of that waits until those that are under way are over."""

from django.db import connection

from apps.core.due import is_postgresql


def writers() -> list[str]:
    """Names of the transactions of this database that have written or locked a row and are not
    over, but for this one; a name is never given twice. None on SQLite, where that is us.

    Those of many minutes are left out: they are somebody's by hand, since a turn that hangs loses
    its transaction after seconds.
    """
    if not is_postgresql():
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid || '/' || extract(epoch FROM xact_start) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_xid IS NOT NULL"
            " AND xact_start > clock_timestamp() - interval '5 minutes'"
        )
        return [name for (name,) in cursor.fetchall()]
