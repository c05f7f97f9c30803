"""Every revision of the runbook that was ever in force: open incidents keep theirs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from tocsin.core.policy import Policy
from tocsin.store import codec
from tocsin.store.connection import Connection
from tocsin.store.statements import statements

_SQL = statements("runbooks")


async def remember(
    c: Connection, revision: str, documents: Mapping[str, str], policy: Policy, at: datetime
) -> None:
    """Keep the documents of a revision and what they compiled to.

    Remembered again, the policy is replaced: a newer Tocsin may read more from the same words.
    """
    await c.execute(
        _SQL["remember"],
        codec.key(revision),
        codec.encode(dict(documents)),
        codec.encode(policy),
        codec.moment(at),
    )


async def policy(c: Connection, revision: str) -> Policy | None:
    """Return what a revision compiled to, or None if it was never remembered."""
    body = await c.fetchval(_SQL["policy"], codec.key(revision))
    return None if body is None else codec.decode(body, Policy)


async def documents(c: Connection, revision: str) -> dict[str, str] | None:
    """Return the documents of a revision by path, or None if it was never remembered."""
    body = await c.fetchval(_SQL["documents"], codec.key(revision))
    return None if body is None else codec.decode(body, dict[str, str])
