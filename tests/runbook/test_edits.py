"""Small edits of a working document: whom they page now, and that no surprise goes unsaid.

Each edit is one that a team makes when it adapts the document: a time, a name, a line less.
"""

from __future__ import annotations

import pytest

from tests.runbook.documents import PROCESS, assert_ledger_is_complete, codes, edited, line_of
from tocsin.core.policy import Clock, Condition, Level, LineStatus

ON_CALL, LEAD, MANAGER, CTO = "On-Call Engineer", "Team Lead", "Engineering Manager", "CTO"
P0, P1, P2, P3 = (line_of(f"- P{n}: ") for n in range(4))
FIRST, SECOND, THIRD, FOURTH = (line_of(f"{n}. **") for n in range(1, 5))


def reached(result, level):
    """Return whom a level reaches, when and by which line, without the first responder's start."""
    assert_ledger_is_complete(result)
    return [
        (role, rule.clock, rule.after_s, rule.source.line)
        for rule in result.policy.escalations
        if level in rule.severity and rule.condition is None
        for role in rule.to
        if not (role == ON_CALL and rule.clock is Clock.IMMEDIATE)
    ]


def said(result, code):
    return [finding.message for finding in result.findings if finding.code == code]


def test_without_an_edit_every_level_reaches_whom_it_should():
    result = edited({})
    assert reached(result, "P0") == [
        (LEAD, Clock.IMMEDIATE, 0, P0),
        (MANAGER, Clock.IMMEDIATE, 0, P0),
    ]
    assert reached(result, "P1") == [(LEAD, Clock.UNRESOLVED, 3600, P1)]
    assert {"T123", "T127", "T128", "T129", "T130"}.isdisjoint(codes(result))


# --- Times and clocks --------------------------------------------------------------------------


def test_waiting_for_an_acknowledgement_reaches_the_path_then_and_not_already_at_once():
    result = edited({P1: "- P1: Escalate if not acknowledged in 15 min"})
    assert reached(result, "P1") == [(LEAD, Clock.UNACKNOWLEDGED, 900, P1)]


@pytest.mark.parametrize(
    "words",
    ["now", "at once", "right away", "straight away", "without delay", "immediately", "ASAP"],
)
def test_every_word_for_at_once_reaches_everybody_the_path_admits(words):
    result = edited({P1: f"- P1: Escalate {words}"})
    [rule] = [r for r in result.policy.escalations if r.source.line == P1]
    assert (rule.severity, rule.clock, rule.to) == (("P1",), Clock.IMMEDIATE, (ON_CALL, LEAD))
    assert {"T123", "T127", "T128"}.isdisjoint(codes(result))


@pytest.mark.parametrize(
    "words", ["Escalate now", "Escalate immediately", "escalate to Jim if nobody answers"]
)
def test_a_level_nobody_declared_is_the_same_error_however_soon_it_escalates(words):
    result = edited({P1: f"- P7: {words}"})
    [error] = [f for f in result.findings if f.level is Level.ERROR]
    assert (error.code, error.source.line) == ("T102", P1)


def test_a_level_of_another_scheme_is_no_level_of_this_one():
    assert "T102" in codes(edited({P1: "- SEV1: Escalate immediately"}))
    assert "T102" in codes(edited({SECOND: "2. **Team Lead**: For SEV1 incidents"}))


@pytest.mark.parametrize(
    ("words", "clock", "after_s"),
    [
        ("Escalate within 30 minutes", Clock.UNRESOLVED, 1800),
        ("Escalate after 30m", Clock.UNRESOLVED, 1800),
        ("Escalate after an hour and a half", Clock.UNRESOLVED, 5400),
        ("Escalate after a quarter of an hour", Clock.UNRESOLVED, 900),
        ("Escalate after forty-five minutes", Clock.UNRESOLVED, 2700),
        ("Escalate between 15 and 30 minutes", Clock.UNRESOLVED, 900),
        ("Escalate if > 1 hour", Clock.UNRESOLVED, 3600),
        ("Escalate unless acknowledged within 15 minutes", Clock.UNACKNOWLEDGED, 900),
        ("Escalate immediately if not acknowledged in 5 min", Clock.UNACKNOWLEDGED, 300),
        ("Escalate if not resolved in 1 hour, update every 30 minutes", Clock.UNRESOLVED, 3600),
        ("Escalate to the next level after 1 hour", Clock.UNRESOLVED, 3600),
        ("30 minutes", Clock.UNRESOLVED, 1800),
    ],
)  # fmt: skip
def test_a_time_said_in_another_way_is_the_same_time(words, clock, after_s):
    assert reached(edited({P1: f"- P1: {words}"}), "P1") == [(LEAD, clock, after_s, P1)]


def test_of_two_times_for_one_page_the_sooner_counts_and_a_finding_says_so():
    result = edited({P1: "- P1: ~~Escalate if not resolved in 1 hour~~ Escalate in 15 min"})
    assert reached(result, "P1") == [(LEAD, Clock.UNRESOLVED, 900, P1)]
    assert said(result, "T130") == [
        "Two times stand here for one page; the sooner counts: after 15 min."
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Escalate if not acknowledged in 15 min or not resolved in 1 hour", [(LEAD, 900), (LEAD, 3600)]),
        ("Escalate to Team Lead after 30 min, then to CTO after 2 hours", [(LEAD, 1800), (CTO, 7200)]),
        ("Page Team Lead immediately and CTO if not resolved in 1 hour", [(LEAD, 0), (CTO, 3600)]),
        ("Team Lead after 30 minutes, CTO after 1 hour", [(LEAD, 1800), (CTO, 3600)]),
        ("Team Lead \u2192 Engineering Manager (15 min) \u2192 CTO (1 hour)", [(LEAD, 0), (MANAGER, 900), (CTO, 3600)]),
    ],
)  # fmt: skip
def test_every_time_of_a_line_is_a_rung_of_its_own(words, expected):
    result = edited({P1: f"- P1: {words}"})
    assert [(role, after_s) for role, _, after_s, _ in reached(result, "P1")] == expected


# --- What cannot be timed ----------------------------------------------------------------------


def test_an_answer_awaited_without_a_time_is_at_once_and_the_path_is_kept():
    result = edited({P1: "- P1: escalate to Jim if nobody answers"})
    assert reached(result, "P1") == [
        (LEAD, Clock.IMMEDIATE, 0, SECOND),
        ("Jim", Clock.IMMEDIATE, 0, P1),
    ]
    assert said(result, "T128") == [
        "\u201cP1: escalate to Jim if nobody answers\u201d gives no time: Jim is paged at once for P1."
    ]
    assert said(result, "T127") == [
        "No criterion says when to reach Team Lead for P1, so it is paged at once."
    ]


def test_a_condition_nobody_can_time_pages_nobody_and_says_who_is_paged_instead():
    result = edited({P1: "- P1: escalate to the CTO if the press calls"})
    assert reached(result, "P1") == [(LEAD, Clock.IMMEDIATE, 0, SECOND)]
    assert said(result, "T123") == [
        "\u201cP1: escalate to the CTO if the press calls\u201d is no rule that can be timed. CTO is not"
        " paged by it. For P1, On-Call Engineer and Team Lead are paged at once and nobody later,"
        " by other lines."
    ]
    assert {e.status for e in result.ledger if e.line == P1} == {LineStatus.UNSUPPORTED}


@pytest.mark.parametrize(
    "words",
    [
        "Escalate next business day",
        "Do not escalate",
        "Escalate if it gets worse",
        "use good sense",
    ],
)
def test_whatever_is_not_understood_keeps_the_path_and_leaves_a_finding(words):
    result = edited({P1: f"- P1: {words}"})
    assert reached(result, "P1") == [(LEAD, Clock.IMMEDIATE, 0, SECOND)]
    assert "For P1, On-Call Engineer and Team Lead are paged at once" in said(result, "T123")[0]


@pytest.mark.parametrize(("words", "who"), [("Escalate", [LEAD]), ("CTO, Team Lead", [CTO, LEAD])])
def test_an_order_without_a_time_is_at_once_and_says_so(words, who):
    result = edited({P1: f"- P1: {words}"})
    assert [(role, at) for role, _, at, _ in reached(result, "P1")] == [(role, 0) for role in who]
    assert len(said(result, "T128")) == 1


def test_a_measurement_at_a_level_is_no_timer_and_the_path_is_kept():
    result = edited({P1: "- P1: Escalate if CPU is over 90% for 10 min"})
    assert "T125" in codes(result)
    assert reached(result, "P1") == [(LEAD, Clock.IMMEDIATE, 0, SECOND)]


def test_a_breach_at_a_level_waits_for_the_breach():
    result = edited({P1: "- P1: Escalate to Legal in case of a data breach"})
    [rule] = [r for r in result.policy.escalations if r.to == ("Legal",)]
    assert (rule.severity, rule.condition) == (("P1",), Condition.SECURITY_BREACH)


# --- Whom --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "item",
    [
        "4. **CTO** and **Legal**: For critical security breaches",
        "4. **CTO**, **Legal**: For critical security breaches",
        "4. **CTO and Legal** (critical security breaches)",
        "4. CTO or Legal: For critical security breaches",
        "4. **CTO** & **Legal** - critical security breaches",
    ],
)
def test_every_role_of_an_item_waits_for_its_event(item):
    [rule] = [r for r in edited({FOURTH: item}).policy.escalations if r.condition]
    assert (rule.to, rule.source.line) == ((CTO, "Legal"), FOURTH)


@pytest.mark.parametrize(
    ("item", "roles"),
    [
        ("3. Team Lead, Engineering Manager: For P0 incidents", [LEAD, MANAGER]),
        ("3. Team Lead or Deputy: For P0 incidents", [LEAD, "Deputy"]),
        ("3. **Engineering Manager**/**Legal** - For P0 incidents", [LEAD, MANAGER, "Legal"]),
        ("3. Engineering Manager for P0 incidents", [LEAD, MANAGER]),
        ("3. Engineering Manager, P0 only", [LEAD, MANAGER]),
        ("3. **Head of Trust and Safety**: For P0 incidents", [LEAD, "Head of Trust and Safety"]),
        (
            "3. **Engineering Manager**: For P0 incidents, after 30 minutes",
            [MANAGER, LEAD, MANAGER],
        ),
    ],
)
def test_every_role_of_an_item_is_a_rung_of_its_own(item, roles):
    assert [role for role, *_ in reached(edited({THIRD: item}), "P0")] == roles


def test_levels_by_their_names_are_all_read():
    result = edited({SECOND: "2. **Team Lead**: For critical and high incidents"})
    assert reached(result, "P0")[0][0] == LEAD
    assert reached(result, "P1") == [(LEAD, Clock.UNRESOLVED, 3600, P1)]


def test_a_level_and_an_event_in_one_item_both_count():
    result = edited({THIRD: "3. **Engineering Manager**: For P0 incidents and data breaches"})
    assert (MANAGER, Clock.IMMEDIATE, 0, P0) in reached(result, "P0")
    events = [r.to for r in result.policy.escalations if r.condition is not None]
    assert events == [(MANAGER,), (CTO,)]


def test_two_first_responders_are_both_reached_at_the_start():
    result = edited({FIRST: "1. **On-Call Engineer and Backup**: Initial response"})
    assert ("Backup", Clock.IMMEDIATE, 0, FIRST) in reached(result, "P1")


def test_a_promise_of_the_first_responder_is_no_timer():
    result = edited({FIRST: "1. **On-Call Engineer**: Initial response within 15 minutes"})
    assert reached(result, "P1") == [(LEAD, Clock.UNRESOLVED, 3600, P1)]
    at_once = [r for r in result.policy.escalations if r.source.line == FIRST]
    assert [r.clock for r in at_once] == [Clock.IMMEDIATE, Clock.IMMEDIATE]
    assert len(said(result, "T136")) == 1


def test_a_named_target_does_not_take_the_path_out():
    result = edited({P1: "- P1: page the CTO if not resolved in 1 hour"})
    assert reached(result, "P1") == [
        (LEAD, Clock.IMMEDIATE, 0, SECOND),
        (CTO, Clock.UNRESOLVED, 3600, P1),
    ]
    assert len(said(result, "T127")) == 1


# --- Lines that are not there, or there twice --------------------------------------------------


def test_without_any_criteria_the_path_is_reached_at_once_and_says_so():
    result = edited(dict.fromkeys((P0, P1, P2, P3)))
    assert [role for role, *_ in reached(result, "P0")] == [LEAD, MANAGER]
    assert len(said(result, "T127")) == 2
    assert said(result, "T129") == [
        "No criterion speaks of P2 and P3: beyond On-Call Engineer nobody is ever reached."
    ]


def test_without_a_path_nobody_is_paged_by_criteria_and_each_says_so():
    result = edited(dict.fromkeys((FIRST, SECOND, THIRD, FOURTH)))
    assert result.policy.escalations == ()
    assert len(said(result, "T123")) == 4
    assert all(message.endswith("nobody is paged by it.") for message in said(result, "T123"))
    assert "T105" in codes(result)


def test_a_level_without_a_criterion_is_reported_where_nobody_else_is_reached():
    assert said(edited({P2: None}), "T129") == [
        "No criterion speaks of P2: beyond On-Call Engineer nobody is ever reached."
    ]
    without_p1 = edited({P1: None})
    assert reached(without_p1, "P1") == [(LEAD, Clock.IMMEDIATE, 0, SECOND)]
    assert len(said(without_p1, "T127")) == 1


def test_a_level_twice_with_different_times_is_two_rungs_and_a_finding():
    result = edited({P1: "- P1: Escalate if not resolved in 1 hour\n- P1: Escalate after 2 hours"})
    assert [at for *_, at, _ in reached(result, "P1")] == [3600, 7200]
    assert said(result, "T130") == [
        f"For P1, line {P1} pages Team Lead after 1 h, and this line after 2 h again. Both hold."
    ]


def test_all_others_are_those_no_line_above_speaks_of():
    result = edited({P2: "- All others: Escalate after 4 hours", P3: None})
    assert [r.severity for r in result.policy.escalations if r.source.line == P2] == [("P2", "P3")]


# --- Other forms -------------------------------------------------------------------------------

_CRITERIA = {
    "lines without bullets": (
        "P0: Escalate immediately\nP1: Escalate if not resolved in 1 hour",
    ),
    "subheadings": (
        "#### P0\n- Escalate immediately\n\n#### P1\n- Escalate if not resolved in 1 hour",
    ),
    "nested items": ("- P0\n  - Escalate immediately\n- P1\n  - Escalate if not resolved in 1 hour",),
    "a table": ("| Severity | Escalate |\n|---|---|\n| P0 | now |\n| P1 | 1 hour |",),
    "one line": ("- P0: Escalate immediately, P1: Escalate if not resolved in 1 hour",),
    "sentences": ("Escalate P0 immediately. P1 incidents are escalated if not resolved in 1 hour.",),
    "a quotation": ("> P0: Escalate immediately\n>\n> P1: Escalate if not resolved in 1 hour",),
}  # fmt: skip


@pytest.mark.parametrize("form", _CRITERIA)
def test_criteria_in_another_form_reach_the_same_people(form):
    result = edited({P0: _CRITERIA[form][0], P1: None, P2: None, P3: None})
    assert [(role, at) for role, _, at, _ in reached(result, "P0")] == [(LEAD, 0), (MANAGER, 0)]
    assert [(role, at) for role, _, at, _ in reached(result, "P1")] == [(LEAD, 3600)]


def test_a_path_without_numbers_is_a_path():
    lines = [line.split(". ", 1)[1] for line in _path()]
    result = edited({FIRST: "\n".join(lines), SECOND: None, THIRD: None, FOURTH: None})
    assert [role for role, *_ in reached(result, "P0")] == [LEAD, MANAGER]
    assert [(role, at) for role, _, at, _ in reached(result, "P1")] == [(LEAD, 3600)]


def _path():
    return PROCESS.split("\n")[FIRST - 1 : FOURTH]


def test_a_matrix_of_roles_by_levels_is_read_cell_by_cell():
    result = edited(
        {
            P0: "| Role | P0 | P1 | P2 |\n|---|---|---|---|\n"
            "| Team Lead | immediately | 30 min | - |\n| CTO | 1 hour | x | if asked |",
            P1: None,
            P2: None,
            P3: None,
        }
    )
    assert {(role, at) for role, _, at, _ in reached(result, "P0")} >= {(LEAD, 0), (CTO, 3600)}
    assert {(role, at) for role, _, at, _ in reached(result, "P1")} == {(LEAD, 1800), (CTO, 0)}
    assert reached(result, "P2") == []
    assert "CTO is not paged by it" in said(result, "T123")[0]


def test_a_table_says_what_becomes_of_a_row_that_gives_no_time():
    result = edited(
        {
            P0: "| Severity | Escalate after | Escalate to |\n|---|---|---|\n"
            "| P0 | now | CTO and Legal |\n| P1 | if nobody answers | Jim |",
            P1: None,
        }
    )
    assert ("Legal", Clock.IMMEDIATE, 0, P0 + 2) in reached(result, "P0")
    assert ("Jim", Clock.IMMEDIATE, 0, P0 + 3) in reached(result, "P1")
    assert len(said(result, "T128")) == 1


def test_a_time_below_a_role_is_that_roles():
    result = edited(
        {SECOND: "2. **Team Lead**: For P1+ incidents\n   - after 30 min if not acknowledged"}
    )
    assert (LEAD, Clock.UNACKNOWLEDGED, 1800, SECOND + 1) in reached(result, "P1")
    assert reached(result, "P2") == [(ON_CALL, Clock.UNRESOLVED, 14_400, P2 + 1)]


def test_a_code_block_of_nothing_but_criteria_is_read_as_lines_are():
    result = edited({P0: "```\nP0: Escalate immediately\n```"})
    assert [(role, at) for role, _, at, _ in reached(result, "P0")] == [(LEAD, 0), (MANAGER, 0)]
    assert {line for *_, line in reached(result, "P0")} == {P0 + 1}


@pytest.mark.parametrize(
    "fence",
    [
        "```bash\nP0: Escalate immediately\n```",
        "```\nIncident P0\nSummary: what happened\nP0: Escalate immediately\n```",
    ],
)
def test_criteria_among_other_code_are_said_to_page_nobody(fence):
    result = edited({P0: fence})
    assert said(result, "T123") == ["A code block is not read for rules: nobody is paged by it."]


def test_an_escalation_below_the_communication_is_still_one():
    result = edited({line_of("## Escalation"): "## Communication\n\n- Slack: #ops"})
    assert [(role, at) for role, _, at, _ in reached(result, "P1")] == [(LEAD, 3600)]
    assert "T135" not in codes(result)
