"""Precision and recall of what the compiler reads, against the labelled cases.

``python -m tests.runbook.labelled.evaluate`` prints them with every case that differs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import msgspec

from tests.runbook.labelled.cases import Case, read_cases
from tests.runbook.labelled.told import fact_of_rule, told_labelled
from tocsin.base.durations import parse_duration
from tocsin.core.policy import Clock
from tocsin.core.surroundings import role_key
from tocsin.runbook import Compiled, compile_runbook

Facts = frozenset[tuple[str, ...]]
_DECLARED = re.compile(r'^(?P<level>[^":]+?)(?: "(?P<name>[^"]+)")?(?:: (?P<criteria>.+))?$')
_CLOCKS = "|".join(clock.value for clock in Clock)
_RULE = re.compile(rf"^(?P<levels>.+?) (?P<clock>{_CLOCKS}) (?P<after>\w+): (?P<to>.+)$")
_RANGE = re.compile(r"^(?P<prefix>\D+)(?P<low>\d)-(?P=prefix)(?P<high>\d)$")


class Score(msgspec.Struct):
    """How many facts were labelled, read, and both; of near-misses, how many were read."""

    labelled: int = 0
    read: int = 0
    both: int = 0
    cases: int = 0
    near_misses: int = 0
    invented: int = 0
    differing: list[tuple[Case, Facts, Facts]] = []

    @property
    def precision(self) -> float:
        """Return the share of what was read that is labelled."""
        return self.both / self.read if self.read else 1.0

    @property
    def recall(self) -> float:
        """Return the share of what is labelled that was read."""
        return self.both / self.labelled if self.labelled else 1.0


def score(kind: str) -> Score:
    """Compile every case of a kind, "severity", "escalation" or "communication", and count its facts."""
    labelled, read = KINDS[kind]
    total = Score()
    for case in read_cases(kind):
        wanted, got = labelled(case), read(case)
        total.labelled += len(wanted)
        total.read += len(got)
        total.both += len(wanted & got)
        total.cases += not case.near_miss
        total.near_misses += case.near_miss
        if case.near_miss:
            total.invented += len(got - wanted)
        if wanted != got:
            total.differing.append((case, wanted, got))
    return total


def compiled_case(case: Case, heading: str, before: str = "") -> Compiled:
    """Compile a piece as a whole document, or below a heading of one."""
    whole = case.text.startswith("# ")
    text = case.text if whole else f"# Runbook\n\n{before}\n\n## {heading}\n\n{case.text}"
    return compile_runbook({"runbook.md": text + "\n"})


def levels_labelled(case: Case) -> Facts:
    """Return every labelled level with its rank and name, and every criterion of each."""
    facts: set[tuple[str, ...]] = set()
    for rank, label in enumerate(case.labels):
        found = _DECLARED.match(label)
        assert found is not None, f"{case.title}: {label!r} is no level"
        facts.add(("level", found["level"], str(rank), found["name"] or ""))
        facts |= {("criterion", found["level"], c) for c in (found["criteria"] or "").split("; ")}
    return frozenset(facts)


def levels_read(case: Case) -> Facts:
    """Return what the compiler makes of a piece below the heading "Severity levels"."""
    facts: set[tuple[str, ...]] = set()
    for level in compiled_case(case, "Severity levels").policy.severities:
        facts.add(("level", level.level, str(level.rank), level.name))
        facts |= {("criterion", level.level, c.text) for c in level.criteria}
    return frozenset(facts)


def rules_labelled(case: Case) -> Facts:
    """Return each labelled rule once for every role, with all its levels, and each finding."""
    reached: dict[tuple[str, ...], set[str]] = {}
    findings: set[tuple[str, ...]] = set()
    for label in case.labels:
        if label.startswith("finding "):
            findings.add(("finding", label.removeprefix("finding ")))
            continue
        found = _RULE.match(label)
        assert found is not None, f"{case.title}: {label!r} is no rule"
        after = parse_duration(found["after"])
        after_s = round(after.total_seconds()) if after else int(found["after"])
        for role in found["to"].split(", "):
            key = (found["clock"], str(after_s), role_key(role))
            reached.setdefault(key, set()).update(_levels_of(found["levels"], case))
    return _joined(reached) | findings


def rules_read(case: Case) -> Facts:
    """Return what the compiler makes of a piece below the heading "Escalation"."""
    levels = scheme_of_case(case)
    declared = "\n".join(f"- **{level}**: trouble number {n}" for n, level in enumerate(levels))
    compiled = compiled_case(case, "Escalation", f"## Severity levels\n\n{declared}")
    reached: dict[tuple[str, ...], set[str]] = {}
    for rule in compiled.policy.escalations:
        if rule.reaches_nobody_new:
            continue
        words = rule.severity or (("-",) if rule.condition else ("*",))
        for role in rule.to:
            key = (rule.clock.value, str(rule.after_s), role_key(role))
            reached.setdefault(key, set()).update(words)
    asked = {label.split()[1] for label in case.labels if label.startswith("finding ")}
    codes = {finding.code for finding in compiled.findings}
    return _joined(reached) | {("finding", code) for code in asked & codes}


def _joined(reached: dict[tuple[str, ...], set[str]]) -> Facts:
    return frozenset((" ".join(sorted(levels)), *key) for key, levels in reached.items())


def scheme_of_case(case: Case) -> tuple[str, ...]:
    """Return the levels of "SEV1-SEV4" or "A,B,C"; P0 to P3 when the fence names none."""
    if found := _RANGE.match(case.about or "P0-P3"):
        numbers = range(int(found["low"]), int(found["high"]) + 1)
        return tuple(f"{found['prefix']}{number}" for number in numbers)
    return tuple(case.about.split(","))


def _levels_of(words: str, case: Case) -> list[str]:
    scheme = scheme_of_case(case)
    if words == "*" and not case.text.startswith("# "):
        return list(scheme)
    rest, levels = words, list[str]()
    while rest:
        level = next((w for w in sorted(scheme, key=len)[::-1] if rest.startswith(w)), "")
        level = level or rest.split(" ", 1)[0]
        levels.append(level)
        rest = rest[len(level) :].strip()
    return levels


def told_read(case: Case) -> Facts:
    """Return what the compiler makes of a piece below the heading "Communication"."""
    declared = "\n".join(
        f"- **{w}**: trouble number {n}" for n, w in enumerate(scheme_of_case(case))
    )
    policy = compiled_case(case, "Communication", f"## Severity levels\n\n{declared}").policy
    levels = tuple(severity.level for severity in policy.severities)
    return frozenset(fact_of_rule(rule, levels) for rule in policy.communications)


KINDS: dict[str, tuple[Callable[[Case], Facts], Callable[[Case], Facts]]] = {
    "severity": (levels_labelled, levels_read),
    "escalation": (rules_labelled, rules_read),
    "communication": (told_labelled, told_read),
}


def report(kind: str) -> list[str]:
    """Return what differs case by case, and last the score in a line."""
    total = score(kind)
    lines: list[str] = []
    for case, wanted, got in total.differing:
        lines.append(f"{kind}: {case.title}{' (near-miss)' if case.near_miss else ''}")
        lines.extend(f"    missed   {' | '.join(fact)}" for fact in sorted(wanted - got))
        lines.extend(f"    invented {' | '.join(fact)}" for fact in sorted(got - wanted))
    lines.append(
        f"{kind}: {total.cases} cases and {total.near_misses} near-misses, precision"
        f" {total.precision:.3f}, recall {total.recall:.3f}, {total.invented} invented"
    )
    return lines


if __name__ == "__main__":
    for asked in sys.argv[1:] or KINDS:
        sys.stdout.writelines(f"{line}\n" for line in report(asked))
