from apps.datastore.models.counters import Counter, CounterValue

__all__ = ["Counter", "CounterValue"]
