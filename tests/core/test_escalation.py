"""Whose turn it is: rules without a level, and who stands in where no rule opens an incident."""

from __future__ import annotations

from tocsin.base.source import Source
from tocsin.core.escalation import plan_rungs
from tocsin.core.policy import Clock, EscalationRule, Policy, Severity

HERE = Source("runbook.md", 1)


def rule(severity, clock, after_s, *to):
    return EscalationRule(severity, clock, after_s, to, HERE)


def planned(policy, level):
    rungs = plan_rungs(policy, level, security_breach=False)
    return [(rung.roles, rung.clock, rung.after_s) for rung in rungs]


def test_a_rule_without_a_level_holds_for_every_incident():
    policy = Policy(
        "r1",
        "R",
        escalations=(
            rule((), Clock.IMMEDIATE, 0, "Primary"),
            rule((), Clock.UNACKNOWLEDGED, 600, "Secondary"),
        ),
    )
    assert planned(policy, "") == [
        (("Primary",), Clock.IMMEDIATE, 0),
        (("Secondary",), Clock.UNACKNOWLEDGED, 600),
    ]


def test_a_level_that_no_rule_names_falls_to_who_stands_in():
    policy = Policy(
        "r1",
        "R",
        severities=(Severity("P1", "", 0, HERE), Severity("P2", "", 1, HERE)),
        escalations=(rule(("P1",), Clock.IMMEDIATE, 0, "Primary"),),
    )
    assert planned(policy, "P1") == [(("Primary",), Clock.IMMEDIATE, 0)]
    assert planned(policy, "P2") == [(("Primary",), Clock.IMMEDIATE, 0)]


def test_who_is_on_call_stands_in_and_not_whoever_is_named_first():
    policy = Policy(
        "r1",
        "R",
        severities=(Severity("P1", "", 0, HERE), Severity("P2", "", 1, HERE)),
        escalations=(
            rule(("P1",), Clock.IMMEDIATE, 0, "All hands"),
            rule(("P1",), Clock.UNRESOLVED, 60, "Secondary on-call"),
            rule(("P1",), Clock.UNRESOLVED, 60, "On-call engineer"),
        ),
    )
    assert planned(policy, "P2") == [(("On-call engineer",), Clock.IMMEDIATE, 0)]
