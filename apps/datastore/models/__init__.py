from apps.datastore.models.tables import Cell, Column, Row, Table

__all__ = ["Cell", "Column", "Row", "Table"]
