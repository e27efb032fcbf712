"""Durability, shown on real processes: workers killed with kill -9 in the middle of their work.

A scenario is an installation of its own (SQLite file or PostgreSQL database) whose connector tags,
sends, waits, sends and tags again. Afterwards the tables must tell the same story as if nothing
had happened, but for messages that are listed as *outcome unknown*.
"""
