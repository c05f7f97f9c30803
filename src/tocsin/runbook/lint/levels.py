"""Levels that contradict each other: one criterion for two, a worse one that waits longer."""

from __future__ import annotations

import re
from itertools import pairwise

from tocsin.core.policy import Clock, Criterion, EscalationRule, Policy
from tocsin.core.surroundings import role_key
from tocsin.runbook.lint.pen import Pen
from tocsin.runbook.phrases import say, short

_TWICE, _SLOWER = "T147", "T148"
_WORD = re.compile(r"\w+")
_WORDS_MIN = 2
# What is done at a level, and by when, may well be the same at the next.
_ACT = re.compile(
    r"\W*(?:pages?|notif|escalat|inform|calls?|contact|respon|acknowledg|updat|creat|open|join|assign|start"
    r"|post|communicat|status|e-?mail|schedul|track|document|fix|resol|who|owner|sla\b|mtt|team|all hands|on-?call"
    r"|immediate|within|next)",
    re.IGNORECASE,
)


def check_levels(policy: Policy, pen: Pen) -> None:
    """Report criteria that stand under two levels, and timers that hurry the milder of two."""
    _check_criteria(policy, pen)
    _check_pace(policy, pen)


def _check_criteria(policy: Policy, pen: Pen) -> None:
    first: dict[str, tuple[str, Criterion]] = {}
    for severity in policy.severities:
        for criterion in severity.criteria:
            words = _WORD.findall(criterion.text.casefold())
            if len(words) < _WORDS_MIN or _ACT.match(criterion.text):
                continue
            level, other = first.setdefault(" ".join(words), (severity.level, criterion))
            if level == severity.level:
                continue
            pen.find(
                _TWICE,
                criterion.source,
                criterion.text,
                f"\u201c{short(criterion.text)}\u201d stands under {level} on line {other.source.line} as well;"
                f" such an incident is graded {level}.",
                "Take it out of one of the two, or say how much of it makes the difference.",
            )


def _check_pace(policy: Policy, pen: Pen) -> None:
    """Compare, role by role, when each level reaches it first; a level that never does is not meant."""
    rank = {severity.level: severity.rank for severity in policy.severities}
    reached: dict[tuple[str, Clock], dict[str, EscalationRule]] = {}
    at_once: set[tuple[str, str]] = set()
    for rule in policy.escalations:
        if rule.condition is not None or rule.reaches_nobody_new:
            continue
        for role in map(role_key, rule.to):
            for level in rule.severity:
                if not rule.after_s:
                    at_once.add((role, level))
                by_level = reached.setdefault((role, rule.clock), {})
                if level not in by_level or rule.after_s < by_level[level].after_s:
                    by_level[level] = rule
    told: set[tuple[int, int]] = set()
    for (role, _), by_level in reached.items():
        ordered = sorted(by_level, key=lambda level: rank.get(level, 0))
        for worse, milder in pairwise(ordered):
            slow, quick = by_level[worse], by_level[milder]
            pair = (slow.source.line, quick.source.line)
            if slow.after_s <= quick.after_s or (role, worse) in at_once or pair in told:
                continue
            told.add(pair)
            who = next(r for r in slow.to if role_key(r) == role)
            pen.find(
                _SLOWER,
                slow.source,
                worse,
                f"{worse} reaches \u201c{who}\u201d after {say(slow.after_s)}, and {milder}, which is"
                f" milder, after {say(quick.after_s)} (line {quick.source.line}).",
                "Exchange the two times, if they were mixed up.",
            )
