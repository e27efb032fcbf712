"""The operators' pages of data: tables with their rows."""

from apps.datastore.admin import tables

__all__ = ["tables"]
