"""The driver has many ways to say that nobody is there; the rest of Tocsin knows one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import asyncpg

# SQLSTATE classes in which nothing is wrong with the statement: connection, resources, operator
# (shutdown, time limits), system, and a server that only reads.
_NOT_OUR_FAULT = ("08", "53", "57", "58", "25006", "55P03", "40")


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
        raise Unavailable(f"The database does not answer: {_said(error)}.") from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError) as error:
        if isinstance(error, TimeoutError):
            raise Unavailable("The database does not answer: it took too long.") from error
        if connection is not None and not _is_lost(connection):
            raise
        raise Unavailable(f"The database does not answer: {_said(error)}.") from error


def _is_lost(connection: Any) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        # The pool takes a connection back as soon as it is lost, and answers no question about it.
        return True


def _said(error: BaseException) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words.rstrip(".")
