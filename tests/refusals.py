"""What PostgreSQL says when it refuses, as Django raises it."""

from django.db import OperationalError


def refusal(error: Exception) -> OperationalError:
    """As Django raises what psycopg raised."""
    wrapped = OperationalError(str(error))
    wrapped.__cause__ = error
    return wrapped
