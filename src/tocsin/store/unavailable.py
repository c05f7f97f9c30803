"""The driver has many ways to say that nobody is there; the rest of Tocsin knows one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import asyncpg

# What the driver raises when it is not our statement that is wrong, and when it is.
FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    EOFError,
)
# SQLSTATE classes in which nothing is wrong with the statement: connection, resources, operator
# (shutdown, time limits), system, a server that only reads, a lock or an order of locks that
# another has, a transaction that was idle for too long, a pooler that lost its server, rights that
# somebody took away.
_NOT_OUR_FAULT = ("08", "53", "57", "58", "25006", "25P03", "55P03", "40", "42501")
_ONLY_READS = "25006"
# Lost, shutting down, crashed, starting up, not let in, no such database.
_GONE = ("08", "57P", "28", "3D")
# Waiting mends none of these: who we say we are, which database we want, what the address says.
_LASTING = ("28", "3D000", "0P000", "42501")


class Unavailable(Exception):  # noqa: N818 - it says how the database is, and web answers 503 with it
    """The database does not answer: <why>."""


@contextlib.contextmanager
def translated(connection: Any | None) -> Iterator[None]:
    """Turn the driver's many ways to say "nobody there" into Unavailable; leave bugs as they are.

    ``connection`` None means that one was being opened, when every failure is of that kind.
    """
    try:
        yield
    except asyncpg.PostgresError as error:
        if connection is not None and not str(error.sqlstate).startswith(_NOT_OUR_FAULT):
            raise
        raise Unavailable(f"The database does not answer: {said(error)}.") from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError) as error:
        if isinstance(error, TimeoutError):
            raise Unavailable("The database does not answer: it took too long.") from error
        if connection is not None and not _is_lost(connection):
            raise
        raise Unavailable(f"The database does not answer: {said(error)}.") from error


def is_lasting(error: BaseException) -> bool:
    """Say whether waiting cannot help: the address, the password or the name is wrong."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate).startswith(_LASTING)
    return isinstance(error, ValueError | asyncpg.ClientConfigurationError)


def is_an_answer(error: BaseException) -> bool:
    """Say whether a server that is up said this: it has trouble of its own, such as a full disk."""
    return isinstance(error, asyncpg.PostgresError) and not str(error.sqlstate).startswith(_GONE)


def only_reads(error: BaseException) -> bool:
    """Say whether the server is one that takes no writes, such as a standby."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate == _ONLY_READS


def said(error: BaseException) -> str:
    """Return the driver's own words, on one line, without a full stop."""
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return "none of its hosts takes writes"
    if isinstance(error, asyncpg.InterfaceError) and "closed" in str(error):
        return "the connection was lost"
    words = " ".join(str(error).split()) or type(error).__name__
    return words.rstrip(".")


def _is_lost(connection: Any) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        # The pool takes a connection back as soon as it is lost, and answers no question about it.
        return True
