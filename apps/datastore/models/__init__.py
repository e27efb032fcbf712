from apps.datastore.models.counters import Counter, CounterValue
from apps.datastore.models.tables import Cell, Column, Row, Table

__all__ = ["Cell", "Column", "Counter", "CounterValue", "Row", "Table"]
