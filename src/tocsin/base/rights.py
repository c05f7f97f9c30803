"""Who may do what, as values: scopes, roles, and what of one another they hold. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """What a credential may be used for. ``ADMIN`` includes all others."""

    INGEST = "ingest"
    READ = "read"
    SILENCE = "silence"
    RESPOND = "respond"
    AUDIT = "audit"
    ADMIN = "admin"


class Role(StrEnum):
    """What a person is here, from the least to the most."""

    VIEWER = "viewer"
    RESPONDER = "responder"
    LEAD = "lead"
    ADMIN = "admin"


SCOPES_BY_ROLE: Final = {
    Role.VIEWER: (Scope.READ,),
    Role.RESPONDER: (Scope.READ, Scope.RESPOND, Scope.SILENCE),
    Role.LEAD: (Scope.READ, Scope.RESPOND, Scope.SILENCE, Scope.AUDIT),
    Role.ADMIN: (Scope.ADMIN,),
}


def holds(scopes: Collection[str], scope: str) -> bool:
    """Say whether these scopes include that one."""
    return scope in scopes or Scope.ADMIN in scopes


def within(scopes: Iterable[str], ceiling: Collection[str]) -> tuple[str, ...]:
    """Return as much of ``scopes`` as ``ceiling`` holds, in their own order.

    ``admin`` under a lower ceiling is no longer everything, but still all that the ceiling holds.
    """
    asked = tuple(scopes)
    if Scope.ADMIN in asked and Scope.ADMIN not in ceiling:
        asked = tuple(Scope)
    return tuple(scope for scope in asked if holds(ceiling, scope))
