"""What can be done to tables: typed cells, rows, columns, sheets (CSV). Plain functions that write
rows of the database and nothing else."""
