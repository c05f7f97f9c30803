"""What the settings tune by the runbook's words: levels that the runbook does not declare."""

from __future__ import annotations

from tocsin.base.source import Source
from tocsin.core.policy import Finding, Policy
from tocsin.core.surroundings import Tuning
from tocsin.runbook.findings import CATALOGUE, did_you_mean


def check_tuning(policy: Policy, tuning: Tuning) -> tuple[Finding, ...]:
    """Report labels and a default of the settings that name no declared severity level.

    The findings stand at the first line of the process document: the settings have no lines here.
    """
    found = [
        _finding(
            policy,
            f"[severity.labels] maps \u201c{label}\u201d to \u201c{level}\u201d, which is no"
            " declared severity level; such alerts are graded by their words.",
            level,
        )
        for label, level in tuning.severity_by_label.items()
        if not _is_declared(policy, level)
    ]
    default = tuning.severity_default
    # The default is compared with levels alone, never with their names.
    if default is not None and policy.severity(default) is None:
        found.append(
            _finding(
                policy,
                f"[severity] default is \u201c{default}\u201d, which is no declared severity level;"
                " the middle one is used instead.",
                default,
            )
        )
    return tuple(found)


def _is_declared(policy: Policy, level: str) -> bool:
    """Say whether a label's value is a level, or the name of one: grading accepts both."""
    names = {severity.name.casefold() for severity in policy.severities if severity.name}
    return policy.severity(level) is not None or level.casefold() in names


def _finding(policy: Policy, message: str, level: str) -> Finding:
    declared = [severity.level for severity in policy.severities]
    named = {s.name.casefold(): s.level for s in policy.severities if s.name}
    remedy = "Declare severity levels in the runbook, or leave this out."
    if declared:
        # The name of a level says which one is meant better than letters that look alike.
        meant = named.get(level.casefold())
        hint = f"Did you mean \u201c{meant}\u201d?" if meant else did_you_mean(level, declared)
        remedy = f"Use one of {', '.join(declared)}. {hint}".strip()
    return Finding("T146", CATALOGUE["T146"][0], Source(_file_of(policy), 1), 1, message, remedy)


def _file_of(policy: Policy) -> str:
    """Return the process document: the one that declares the levels, or else the rules."""
    sources = (
        *(severity.source for severity in policy.severities),
        *(rule.source for rule in policy.escalations),
        *(play.source for play in policy.plays),
    )
    return sources[0].file if sources else ""
