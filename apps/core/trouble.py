"""Whose fault is it when the database (or the memory) refuses: that of the work at hand, or of the
installation?

A known, short list of errors says something about the data that was written. Everything else is
trouble of the installation: the same work would have been done by a sound one, so it is put back
and done later.
"""

import sqlite3
import sys
from enum import StrEnum
from typing import Any

import psycopg
from django import db
from django.db import connection

DATABASE_ERRORS = (db.Error, psycopg.Error, sqlite3.Error)


class Trouble(StrEnum):
    """What kind of error it is."""

    OWN = "own"  # bad data, or a constraint that the work itself broke
    CONFLICT = "conflict"  # with somebody else's transaction: done again at once
    LOCKED = "locked"  # somebody holds what is needed for longer
    GONE = "gone"  # the connection is lost, or of no use any more
    INSTALLATION = "installation"  # no space, no memory, read-only, a broken disk, a half migration


_CONFLICT = ("40P01", "40001")
# 25P03: the transaction was ended because its process hung.
_LOCKED = ("55P03", "57014", "25P03")
# "Cached plan must not change result type": a migration changed a table, and what this connection
# has prepared for it is refused from then on.
_OUTDATED = "0A000"
# Bad data, a broken constraint, several rows where one was asked for, more than a row can hold.
_OWN_CLASSES = ("22", "23", "21")
_OWN = ("54000",)
_OUR_MISTAKES = (
    db.ProgrammingError,
    db.NotSupportedError,
    psycopg.ProgrammingError,
    psycopg.NotSupportedError,
)


def kind_of(error: BaseException) -> Trouble | None:
    """What an error is; None for one that comes neither of the database nor of a lack of memory."""
    if isinstance(error, MemoryError):
        return Trouble.INSTALLATION
    if not isinstance(error, DATABASE_ERRORS):
        return None
    state = sqlstate(error)
    if state:
        return _of_state(state)
    if _is_locked_file(error):
        return Trouble.LOCKED
    if _is_sqlite(error):
        return _of_sqlite(error)
    # psycopg refuses some values by itself (a NUL byte, a number that fits nowhere).
    if isinstance(error, (db.DataError, db.IntegrityError, psycopg.DataError)):
        return Trouble.OWN
    # Nobody has asked the server: the statement was wrong, or out of place. That is our mistake.
    return None if isinstance(error, _OUR_MISTAKES) else Trouble.GONE


def is_installations(error: BaseException) -> bool:
    """Whether the same work would have been done by a sound installation."""
    return kind_of(error) not in (None, Trouble.OWN)


def _of_state(state: str) -> Trouble:
    if state in _CONFLICT:
        return Trouble.CONFLICT
    if state in _LOCKED:
        return Trouble.LOCKED
    if state[:2] in _OWN_CLASSES or state in _OWN:
        return Trouble.OWN
    if state[:2] == "08" or state[:3] == "57P" or state == _OUTDATED:
        return Trouble.GONE
    return Trouble.INSTALLATION


def _of_sqlite(error: BaseException) -> Trouble:
    own = (db.DataError, db.IntegrityError, db.InterfaceError, db.ProgrammingError)
    raw = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError)
    if isinstance(error, (*own, *raw, sqlite3.ProgrammingError)):
        # "Cannot operate on a closed database" says nothing about the data.
        return Trouble.GONE if "closed" in str(error) else Trouble.OWN
    return Trouble.INSTALLATION


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's code; empty without one."""
    for each in (error, error.__cause__):
        if state := getattr(each, "sqlstate", None):
            return str(state)
    return ""


def _is_locked_file(error: BaseException) -> bool:
    text = str(error)
    return "database is locked" in text or "database table is locked" in text


def _is_sqlite(error: BaseException) -> bool:
    return isinstance(error, sqlite3.Error) or isinstance(error.__cause__, sqlite3.Error)


# What is wrong with the installation, for those who run it. The longest key that fits counts.
_SENTENCES = {
    "53100": "PostgreSQL refuses writes: no space left on its disk.",
    "53200": "PostgreSQL is out of memory.",
    "53300": "PostgreSQL takes no more connections: raise max_connections or run fewer workers.",
    "25006": "PostgreSQL is read-only: it may be a standby. Promote it, or check DATABASE_URL.",
    "58": "PostgreSQL can't read or write its files: look at its disk and its log.",
    "55P03": "A table or row is locked for a long time: look for a long transaction, or for "
    "maintenance such as VACUUM FULL.",
    "57014": "PostgreSQL ended a statement because it took too long: look at its load and its "
    "statement_timeout.",
    "57P": "PostgreSQL ended the connection: it is being stopped or restarted.",
    "08": "The connection to PostgreSQL is lost.",
    _OUTDATED: "A table was changed under a worker, which connects anew.",
    "42": "The tables are not those of this version: run manage.py setup.",
    "53": "PostgreSQL lacks resources: its log says which.",
}


def sentence(error: BaseException) -> str:
    """What is wrong with the installation, in words that an operator can act on."""
    if isinstance(error, MemoryError):
        return "A worker ran out of memory: give its host more, or run fewer drains."
    state, said = sqlstate(error), said_by(error)
    for length in (5, 3, 2):
        if state and (known := _SENTENCES.get(state[:length])):
            return f"{known} ({said})"
    if _is_sqlite(error):
        return _of_file(said)
    if kind_of(error) is Trouble.GONE:
        return f"The connection to the database is lost. ({said})"
    return f"The database refuses to work: {said}"


def renew_connection(broke: BaseException) -> None:
    """After an error: a connection of no use is closed; the next statement opens another one."""
    if connection.in_atomic_block:
        return
    if kind_of(broke) is Trouble.GONE:
        connection.close()
    else:
        connection.close_if_unusable_or_obsolete()


def page_broke(**told: Any) -> None:
    """A page ended with an error that nobody has answered."""
    error = sys.exc_info()[1]
    if error is not None and is_installations(error):
        renew_connection(error)


def what_forbids_writing() -> str | None:
    """The sentence, if this process's connection may only read. PostgreSQL tells each connection by
    itself (since 14), so that asking costs nothing."""
    if connection.vendor != "postgresql":
        return None
    connection.ensure_connection()
    told = connection.connection.info.parameter_status
    read_only = ("in_hot_standby", "default_transaction_read_only")
    return _SENTENCES["25006"] if "on" in map(told, read_only) else None


def _of_file(said: str) -> str:
    if "full" in said:
        return f"The database refuses writes: no space left on its disk. ({said})"
    if "locked" in said:
        return f"The database file is locked by another program. ({said})"
    if "readonly" in said:
        return f"The database file is read-only. ({said})"
    return f"The database file can't be used: {said}"


def said_by(error: BaseException) -> str:
    """The error's own first line."""
    lines: Any = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
