"""The runbook in force, and the revisions that open incidents keep.

An edited runbook is compiled on change. With errors it is refused: the old revision stays in force
and the refused one says why. Without a first valid revision there is nothing to fall back to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.core.surroundings import Directory, Tuning
from tocsin.runbook import Compiled
from tocsin.runbook.lint import Known, check
from tocsin.store import runbooks

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.core.policy import Finding, Policy
    from tocsin.store import Connection, Database


class Book:
    """Holds the compiled runbook in force. Incidents ask for the revision they were opened under."""

    def __init__(
        self,
        compiled: Compiled,
        directory: Directory,
        *,
        configured: bool,
        tuning: Tuning | None = None,
    ) -> None:
        """Put a first compiled runbook in force; it must have no errors."""
        assert not compiled.has_errors, "the caller refuses to start on a runbook with errors"
        self._directory = directory
        self._configured = configured
        self._tuning = tuning or Tuning()
        self._policies: dict[str, Policy] = {}
        self.refused: Compiled | None = None
        self._enforce(compiled)

    @property
    def current(self) -> Compiled:
        """Return the runbook that new incidents get."""
        return self._current

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return what there is to say about it, and about what the settings make of it."""
        return self._findings

    def policy(self, revision: str) -> Policy:
        """Return the policy of a revision already fetched; the one in force if it is unknown."""
        return self._policies.get(revision, self._current.policy)

    async def fetch(self, connection: Connection, revision: str) -> Policy:
        """Return the policy of a revision, from the database if this process never held it."""
        if revision not in self._policies:
            found = await runbooks.policy(connection, revision)
            if found is None:
                return self._current.policy
            self._policies[revision] = found
        return self._policies[revision]

    async def remember(self, database: Database, at: datetime) -> None:
        """Store the revision in force, so that its incidents can be judged by it for ever."""
        await _store(database, self._current, at)

    async def offer(self, compiled: Compiled, database: Database, at: datetime) -> bool:
        """Put an edited runbook in force if it has no errors; say whether it is.

        It is stored first: no incident is ever opened under a revision that only memory knows.
        """
        if compiled.has_errors:
            self.refused = compiled
            return False
        await _store(database, compiled, at)
        self.refused = None
        self._enforce(compiled)
        return True

    def _enforce(self, compiled: Compiled) -> None:
        self._current = compiled
        self._policies[compiled.policy.revision] = compiled.policy
        known = Known(self._directory, self._tuning, configured=self._configured)
        self._findings = check(compiled, known)


async def _store(database: Database, compiled: Compiled, at: datetime) -> None:
    async with database.transaction() as connection:
        await runbooks.remember(
            connection, compiled.policy.revision, compiled.documents, compiled.policy, at
        )
