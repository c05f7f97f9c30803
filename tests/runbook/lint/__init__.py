"""The checks that look beyond a line: what each must find, and near it what it must not."""

from __future__ import annotations

from tocsin.core.policy import Finding
from tocsin.runbook import compile_runbook
from tocsin.runbook.lint import Known, check

LEVELS = """\
# Incidents

## Severity levels

### P0 - Critical
- Everything is down

### P1 - High
- Much is down

"""
SCENARIO = """\
# Incidents

## Scenarios

### The API is down

**Symptoms:**

- Every request returns 500

**Response:**

"""


def found(code: str, documents: str | dict[str, str], known: Known | None = None) -> list[Finding]:
    """Return the findings of one code; a single text is the document ``r.md``."""
    files = {"r.md": documents} if isinstance(documents, str) else documents
    return [f for f in check(compile_runbook(files), known) if f.code == code]


def words_of(finding: Finding, text: str) -> str:
    """Return the words that a finding means."""
    line = text.split("\n")[finding.source.line - 1]
    return line[finding.column - 1 : finding.end_column - 1]
