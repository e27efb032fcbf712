"""The operators' pages of data: counters, and tables with their rows."""

from apps.datastore.admin import counters, tables

__all__ = ["counters", "tables"]
