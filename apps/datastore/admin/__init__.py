from apps.datastore.admin import counters

__all__ = ["counters"]
