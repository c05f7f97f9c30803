"""The runbooks that seeded worlds draw from. Another list makes other worlds of the same seeds."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.core.world import POLICY
from tocsin.core.policy import Policy
from tocsin.runbook import compile_runbook

_EXAMPLE = Path(__file__).parents[2] / "examples" / "neurocred" / "incident-response.md"
_TWO_LEVELS = """\
# On call

## Severity

**SEV1** - Critical: customers cannot work, data loss.

**SEV2** - Minor: everything else.

## Escalation

- SEV1: page the on-call engineer immediately
- SEV1: page the team lead if not acknowledged in 5 minutes
- SEV1: page the CTO if not acknowledged in 15 minutes
- SEV2: page the on-call engineer if not resolved in 1 hour
"""


@cache
def policies() -> tuple[Policy, ...]:
    """Return them, compiled. Paths are as in the repository, whoever runs this from wherever."""
    example = compile_runbook({"incident-response.md": _EXAMPLE.read_text(encoding="utf-8")})
    small = compile_runbook({"runbook.md": _TWO_LEVELS})
    assert not small.has_errors, small.findings
    return POLICY, example.policy, small.policy
