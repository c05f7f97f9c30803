"""The documents the runbook tests read: the bundled example, and the shared ones where present."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tocsin.runbook import Compiled, compile_runbook

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "neurocred" / "incident-response.md"
SHARED = ROOT.parent / "shared"
SHARED_RUNBOOK = SHARED / "runbooks" / "incident-response.md"

NAME = "runbook.md"


@cache
def compiled_file(path: Path) -> Compiled:
    return compile_runbook({path.name: path.read_text(encoding="utf-8")})


def example() -> Compiled:
    return compiled_file(EXAMPLE)


def shared() -> Compiled:
    if not SHARED_RUNBOOK.is_file():
        pytest.skip("../shared/runbooks is not here")
    return compiled_file(SHARED_RUNBOOK)


def compiled(text: str) -> Compiled:
    return compile_runbook({NAME: text})


def codes(result: Compiled) -> list[str]:
    return [finding.code for finding in result.findings]


def assert_ledger_is_complete(result: Compiled) -> None:
    for file, text in result.documents.items():
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        wanted = [number for number, line in enumerate(lines, start=1) if line.strip()]
        have = [entry.line for entry in result.ledger if entry.file == file]
        assert have == wanted
        assert all(entry.rule for entry in result.ledger)


def edited(changes: dict[int, str | None]) -> Compiled:
    """Compile the document of ``PROCESS`` with some of its lines changed, or taken out."""
    lines = PROCESS.split("\n")
    kept = [changes.get(n, line) for n, line in enumerate(lines, start=1)]
    return compiled("\n".join(line for line in kept if line is not None))


def line_of(words: str) -> int:
    """Return the line of ``PROCESS`` on which these words stand."""
    return next(n for n, line in enumerate(PROCESS.split("\n"), start=1) if words in line)


PROCESS = """\
# Incidents

## Severity levels

### P0 - Critical
- Everything is down

### P1 - High
- Much is down

### P2 - Medium
- Little is down

### P3 - Low
- Nothing is down

## Escalation

### Escalation path

1. **On-Call Engineer**: Initial response
2. **Team Lead**: For P1+ incidents
3. **Engineering Manager**: For P0 incidents
4. **CTO**: For critical security breaches

### Escalation criteria

- P0: Escalate immediately
- P1: Escalate if not resolved in 1 hour
- P2: Escalate if not resolved in 4 hours
- P3: Escalate if not resolved in 24 hours
"""
