"""Whose fault an error is, and what operators are told."""

import sqlite3

import pytest
from django import db
from psycopg import errors

from apps.core.trouble import Trouble, is_installations, kind_of, sentence, sqlstate


def wrapped(error, into=db.OperationalError):
    """As Django raises what the driver raised."""
    made = into(*error.args)
    made.__cause__ = error
    return made


def sqlite(kind, text):
    return wrapped(getattr(sqlite3, kind)(text), getattr(db, kind))


KINDS = [
    # PostgreSQL, by its code.
    (errors.DeadlockDetected("x"), Trouble.CONFLICT),
    (errors.SerializationFailure("x"), Trouble.CONFLICT),
    (errors.LockNotAvailable("x"), Trouble.LOCKED),
    (errors.QueryCanceled("x"), Trouble.LOCKED),
    (errors.IdleInTransactionSessionTimeout("x"), Trouble.LOCKED),
    (errors.NumericValueOutOfRange("x"), Trouble.OWN),
    (errors.UniqueViolation("x"), Trouble.OWN),
    (errors.CardinalityViolation("x"), Trouble.OWN),
    (errors.ProgramLimitExceeded("x"), Trouble.OWN),
    (errors.StatementTooComplex("x"), Trouble.INSTALLATION),
    (errors.ConnectionFailure("x"), Trouble.GONE),
    (errors.AdminShutdown("x"), Trouble.GONE),
    (errors.DiskFull("x"), Trouble.INSTALLATION),
    (errors.OutOfMemory("x"), Trouble.INSTALLATION),
    (errors.ReadOnlySqlTransaction("x"), Trouble.INSTALLATION),
    (errors.UndefinedTable("x"), Trouble.INSTALLATION),
    (errors.IoError("x"), Trouble.INSTALLATION),
    # What no server was asked.
    (errors.OperationalError("the connection is lost"), Trouble.GONE),
    (errors.InterfaceError("the connection is closed"), Trouble.GONE),
    (db.InterfaceError("connection already closed"), Trouble.GONE),
    (errors.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"), Trouble.OWN),
    (errors.ProgrammingError("the query has 1 placeholder"), None),
    (db.NotSupportedError("x"), None),
    # SQLite, by its words.
    (sqlite("OperationalError", "database is locked"), Trouble.LOCKED),
    (sqlite("OperationalError", "database table is locked: engine_run"), Trouble.LOCKED),
    (sqlite("OperationalError", "database or disk is full"), Trouble.INSTALLATION),
    (sqlite("OperationalError", "disk I/O error"), Trouble.INSTALLATION),
    (sqlite("OperationalError", "attempt to write a readonly database"), Trouble.INSTALLATION),
    (sqlite("DatabaseError", "database disk image is malformed"), Trouble.INSTALLATION),
    (sqlite("IntegrityError", "UNIQUE constraint failed"), Trouble.OWN),
    (sqlite("DataError", "x"), Trouble.OWN),
    (sqlite("InterfaceError", "Error binding parameter 1"), Trouble.OWN),
    (sqlite("ProgrammingError", "Error binding parameter 1: type 'set'"), Trouble.OWN),
    (sqlite("ProgrammingError", "Cannot operate on a closed database."), Trouble.GONE),
    (sqlite3.IntegrityError("UNIQUE constraint failed"), Trouble.OWN),
    (sqlite3.InterfaceError("x"), Trouble.OWN),
    (sqlite3.DataError("x"), Trouble.OWN),
    # Neither.
    (MemoryError(), Trouble.INSTALLATION),
    (ValueError("x"), None),
]


@pytest.mark.parametrize(("error", "kind"), KINDS, ids=lambda value: repr(value)[:50])
def test_whose_fault_it_is(error, kind):
    assert kind_of(error) is kind
    assert is_installations(error) is (kind not in (None, Trouble.OWN))
    if isinstance(error, errors.Error) and sqlstate(error):
        assert kind_of(wrapped(error)) is kind


SENTENCES = [
    (MemoryError(), "A worker ran out of memory: give its host more, or run fewer drains."),
    (errors.DiskFull("no"), "PostgreSQL refuses writes: no space left on its disk. (no)"),
    (errors.OutOfMemory("no"), "PostgreSQL is out of memory. (no)"),
    (errors.InsufficientResources("no"), "PostgreSQL lacks resources: its log says which. (no)"),
    (
        errors.CrashShutdown("no"),
        "PostgreSQL ended the connection: it is being stopped or restarted. (no)",
    ),
    (errors.ConnectionFailure("no"), "The connection to PostgreSQL is lost. (no)"),
    (
        errors.UndefinedColumn("no"),
        "The tables are not those of this version: run manage.py setup. (no)",
    ),
    (errors.OperationalError("no\nmore"), "The connection to the database is lost. (no)"),
    (errors.InternalError_("no"), "The database refuses to work: no"),
    (
        sqlite("OperationalError", "database or disk is full"),
        "The database refuses writes: no space left on its disk. (database or disk is full)",
    ),
    (
        sqlite("OperationalError", "database is locked"),
        "The database file is locked by another program. (database is locked)",
    ),
    (
        sqlite("OperationalError", "attempt to write a readonly database"),
        "The database file is read-only. (attempt to write a readonly database)",
    ),
    (
        sqlite("OperationalError", "disk I/O error"),
        "The database file can't be used: disk I/O error",
    ),
    (db.OperationalError(), "The connection to the database is lost. (OperationalError)"),
]


@pytest.mark.parametrize(("error", "text"), SENTENCES, ids=lambda value: repr(value)[:50])
def test_what_operators_are_told(error, text):
    assert sentence(error) == text
