"""Conditions on where a counter stands. They read the database, unlike those on values."""

from apps.actions.conditions.numbers import NUMERIC
from apps.crm.models import Contact
from apps.datastore import counters
from apps.datastore.models import Counter

# As conditions on values name them; a counter is never empty, and its length says nothing.
_ASKED = ["equals", "not_equals", "greater", "less", "between", "not_between"]
OPERATORS = [(f"number:{name}", NUMERIC[name].printed) for name in _ASKED]


def value_for(counter: Counter, contact: Contact | None) -> int | None:
    """Where it stands; None for a counter of contacts when there is no contact."""
    if counter.is_per_contact and contact is None:
        return None
    return counters.current(counter, contact)
