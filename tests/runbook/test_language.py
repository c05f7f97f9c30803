"""How runbooks say things: the same meaning in the many forms that teams use."""

from __future__ import annotations

import pytest

from tests.runbook.documents import assert_ledger_is_complete, codes, compiled
from tocsin.core.policy import Clock, Condition, Level, LineStatus, StepKind, Urgency
from tocsin.runbook import compile_runbook

LEVELS = """
## Severity

### P0 - Critical
- Everything is down

### P1 - High
- Much is down

### P2 - Medium
- Little is down

### P3 - Low
- Nothing is down
"""


def levels_of(text):
    return [(s.level, s.name) for s in compiled(text).policy.severities]


def rules_of(text, levels=LEVELS):
    result = compiled(f"# Runbook\n{levels}\n## Escalation\n\n{text}\n")
    assert_ledger_is_complete(result)
    return [(r.severity, r.clock, r.after_s, r.to) for r in result.policy.escalations]


# --- Severity ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("### P1 - CRITICAL (Response: 15 min)\n- x\n### P2 - HIGH\n- y", ["P1", "P2"]),
        ("### SEV-2: Major\n- y\n### SEV-1: Critical\n- x", ["SEV-1", "SEV-2"]),
        (
            "### Severity 1 (Critical)\n- x\n### Severity 2 (High)\n- y",
            ["Severity 1", "Severity 2"],
        ),
        (
            "| Level | Description |\n|---|---|\n| **SEV1** | x |\n| **SEV2** | y |",
            ["SEV1", "SEV2"],
        ),
        ("| Severity | Examples |\n|---|---|\n| Critical | x |\n| Low | y |", ["Critical", "Low"]),
        ("- **P0 (Critical)**: x\n- **P1 (High)**: y", ["P0", "P1"]),
        ("- `S1` x\n- `S2` y", ["S1", "S2"]),
        ("**P0 - Critical**\n- x\n\n**P1 - High**\n- y", ["P0", "P1"]),
        ("### Critical (P0)\n- x\n### High (P1)\n- y", ["P0", "P1"]),
        ("### 🔴 P0\n- x\n### 🟡 P1\n- y", ["P0", "P1"]),
    ],
)
def test_levels_are_read_in_every_form_worst_first(text, levels):
    result = compiled(f"# R\n\n## Severity levels\n\n{text}\n")
    assert [s.level for s in result.policy.severities] == levels
    assert [s.rank for s in result.policy.severities] == [0, 1]
    assert [[c.text for c in s.criteria] for s in result.policy.severities] in ([["x"], ["y"]],)
    assert_ledger_is_complete(result)


@pytest.mark.parametrize(
    "text",
    [
        "### P95 latency\n- x\n### P99 latency\n- y",
        "### High error rate\n- x\n### Critical path\n- y",
        "### P0/P1\n- x\n### P2+\n- y",
        "```\n### P0\n### P1\n```",
    ],
)
def test_false_friends_declare_no_level(text):
    assert levels_of(f"# R\n\n## Severity\n\n{text}\n") == []


def test_cells_with_several_criteria_are_split():
    text = "# R\n\n## Severity\n\n| Level | What |\n|---|---|\n| P0 | a <br> b; c |\n| P1 | d |\n"
    worst = compiled(text).policy.severities[0]
    assert [c.text for c in worst.criteria] == ["a", "b", "c"]


def test_a_response_time_is_a_promise_and_no_criterion():
    text = (
        "# R\n\n## Severity\n\n### P0\n- Response time: 15 min\n- All down\n\n### P1\n- Some down\n"
    )
    result = compiled(text)
    assert [c.text for c in result.policy.severities[0].criteria] == ["All down"]
    assert "T136" in codes(result)


def test_a_level_declared_twice_with_different_meanings_is_an_error():
    result = compiled(
        "# R\n\n## Severity\n\n### P0 - Worst\n- x\n\n### P0 - Best\n- y\n\n### P1\n- z\n"
    )
    [finding] = [f for f in result.findings if f.level is Level.ERROR]
    assert (finding.code, finding.source.line) == ("T101", 8)
    assert result.has_errors


def test_levels_that_are_used_but_never_declared_are_taken_and_reported():
    result = compiled(
        "# R\n\n## Escalation\n\n1. **Engineer**: first response\n\n- P1: page the manager at once\n"
        "- P2: page the manager after 1 hour\n"
    )
    assert [s.level for s in result.policy.severities] == ["P1", "P2"]
    assert "T104" in codes(result)
    assert not result.has_errors


# --- Escalation --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "levels"),
    [
        ("P0/P1", ("P0", "P1")),
        ("P0, P1 and P2", ("P0", "P1", "P2")),
        ("P1+", ("P0", "P1")),
        ("P1 and above", ("P0", "P1")),
        ("P2 or higher", ("P0", "P1", "P2")),
        ("P1-P3", ("P1", "P2", "P3")),
        ("P1 to P2", ("P1", "P2")),
        ("anything above P2", ("P0", "P1")),
        ("P2 and below", ("P2", "P3")),
        ("all incidents", ("P0", "P1", "P2", "P3")),
        ("critical incidents", ("P0",)),
    ],
)
def test_sets_and_ranges_name_levels(words, levels):
    rules = rules_of(f"- Page the team lead after 30 minutes, for {words}")
    assert rules == [(levels, Clock.UNRESOLVED, 1800, ("team lead",))]


@pytest.mark.parametrize(
    ("sentence", "clock", "after_s"),
    [
        ("P0: escalate to the manager immediately", Clock.IMMEDIATE, 0),
        ("P0: page the manager right away", Clock.IMMEDIATE, 0),
        ("P0: page the manager if not resolved in an hour", Clock.UNRESOLVED, 3600),
        ("P0: page the manager if still open after 90 min", Clock.UNRESOLVED, 5400),
        ("P0: page the manager if it persists for 15-30 minutes", Clock.UNRESOLVED, 900),
        ("P0: if nobody acknowledges within 5m, page the manager", Clock.UNACKNOWLEDGED, 300),
        ("P0: page the manager after 10 minutes without response", Clock.UNACKNOWLEDGED, 600),
    ],
)
def test_clocks_and_delays_are_read_from_sentences(sentence, clock, after_s):
    assert rules_of(f"- {sentence}") == [(("P0",), clock, after_s, ("manager",))]


def test_a_sentence_in_prose_escalates_every_level():
    text = "If no acknowledgment within 15 minutes, escalate to the secondary on-call."
    every = ("P0", "P1", "P2", "P3")
    assert rules_of(text) == [(every, Clock.UNACKNOWLEDGED, 900, ("secondary on-call",))]


@pytest.mark.parametrize("steps", ["lead", "lead \u2192 (1 h) CTO"])
def test_every_line_of_a_paragraph_that_begins_with_a_level_is_a_chain_of_its_own(steps):
    first = f"P0: on-call \u2192 (15 min) team {steps}"
    second = f"P1: on-call \u2192 (30 min) support {steps}"
    apart = sorted(rules_of(f"{first}\n\n{second}"))
    assert sorted(rules_of(f"{first}\n{second}")) == apart
    assert (("P1",), Clock.UNRESOLVED, 1800, ("support lead",)) in apart


@pytest.mark.parametrize("broken", ["\u2192\n", "\n\u2192 "])
def test_a_chain_goes_on_over_the_end_of_a_line_at_an_arrow(broken):
    head = "On-call \u2192 team lead (15 min) \u2192 manager (30 min)"
    tail = "director (1 h) \u2192 CTO (2 h)"
    assert rules_of(f"{head} {broken}{tail}") == rules_of(f"{head} \u2192 {tail}")


def test_times_in_column_headers_are_rules():
    text = (
        "| Severity | Primary | Escalation (1h) |\n|---|---|---|\n"
        "| P0 | x | Team lead |\n| P1 | x | Manager |\n"
    )
    assert rules_of(text) == [
        (("P0",), Clock.UNRESOLVED, 3600, ("Team lead",)),
        (("P1",), Clock.UNRESOLVED, 3600, ("Manager",)),
    ]


def test_tables_are_read_by_the_meaning_of_their_headers():
    text = (
        "| Severity | Escalate after | Escalate to |\n|---|---|---|\n"
        "| P0 | 15 minutes | CTO |\n| P1 | 1 hour | Team lead, Manager |\n"
    )
    assert rules_of(text) == [
        (("P0",), Clock.UNRESOLVED, 900, ("CTO",)),
        (("P1",), Clock.UNRESOLVED, 3600, ("Team lead", "Manager")),
    ]


def test_a_role_for_a_level_without_any_time_is_reached_at_once():
    rules = rules_of("1. **Engineer**: first response\n2. **Manager**: for P0 incidents")
    assert (("P0",), Clock.IMMEDIATE, 0, ("Manager",)) in rules


def test_targets_are_written_as_the_path_writes_them():
    rules = rules_of(
        "1. **On-Call Engineer**: first\n2. **Team Lead**: P0\n\n"
        "- P0: escalate to the team lead if not resolved in 1 hour"
    )
    assert (("P0",), Clock.UNRESOLVED, 3600, ("Team Lead",)) in rules


def test_the_lowest_of_four_levels_begins_with_a_notice_and_of_three_with_a_page():
    path = "# R\n{levels}\n## Escalation path\n\n1. **Engineer**: first response\n"
    four = compiled(path.format(levels=LEVELS)).policy.escalations
    three = compiled(path.format(levels=LEVELS.split("### P3")[0])).policy.escalations
    assert [(r.severity, r.urgency) for r in four] == [
        (("P0", "P1", "P2"), Urgency.PAGE),
        (("P3",), Urgency.NOTICE),
    ]
    assert [(r.severity, r.urgency) for r in three] == [(("P0", "P1", "P2"), Urgency.PAGE)]


def test_loss_of_data_is_a_condition_too():
    result = compiled(
        f"# R\n{LEVELS}\n## Escalation path\n\n1. **Engineer**: first\n2. **CTO**: data loss\n"
    )
    [event] = [r for r in result.policy.escalations if r.clock is Clock.EVENT]
    assert (event.condition, event.to, event.severity) == (Condition.DATA_LOSS, ("CTO",), ())


@pytest.mark.parametrize(
    "item",
    [
        "2. **Legal**: data loss",
        "- Page Legal immediately when there is data loss",
    ],
)
def test_a_loss_of_data_that_nobody_can_declare_is_said_to_reach_nobody(item):
    result = compiled(f"# R\n{LEVELS}\n## Escalation path\n\n1. **Engineer**: first\n{item}\n")
    [finding] = [f for f in result.findings if f.code == "T120"]
    assert finding.level is Level.WARNING
    assert finding.message == (
        "Nobody can declare a data loss yet: Legal is never reached by this line."
    )
    assert result.ledger[-1].status is LineStatus.UNSUPPORTED
    assert any(r.condition is Condition.DATA_LOSS for r in result.policy.escalations)


@pytest.mark.parametrize(
    "item",
    [
        "2. **CTO and Legal**: security breach",
        "- Page the CTO and Legal immediately on a security breach",
    ],
)
def test_a_breach_is_declared_by_a_person_or_a_label(item):
    result = compiled(f"# R\n{LEVELS}\n## Escalation path\n\n1. **Engineer**: first\n{item}\n")
    [finding] = [f for f in result.findings if f.code == "T120"]
    assert finding.level is Level.INFO
    assert "CTO and Legal are reached" in finding.message
    assert result.ledger[-1].status is LineStatus.HUMAN


def test_an_event_that_reaches_nobody_is_reported():
    result = compiled(f"# R\n{LEVELS}\n## Escalation\n\n- Escalate immediately on a breach\n")
    assert "T123" in codes(result)
    assert result.ledger[-1].status is LineStatus.UNSUPPORTED


def test_a_level_nobody_declared_is_an_error_with_a_suggestion():
    result = compiled(
        f"# R\n{LEVELS}\n## Escalation\n\n1. **Engineer**: first\n\n- P7: page the manager at once\n"
    )
    [finding] = [f for f in result.findings if f.level is Level.ERROR]
    assert finding.code == "T102"
    assert "P7" in finding.message
    assert "Did you mean" in finding.remedy


def test_a_measurement_is_a_persons_judgement_and_no_timer():
    result = compiled(
        f"# R\n{LEVELS}\n## Escalation\n\n1. **Engineer**: first response\n\n"
        "- error rate over 5% in two regions for 10 minutes\n"
    )
    assert "T125" in codes(result)
    assert [r.clock for r in result.policy.escalations] == [Clock.IMMEDIATE, Clock.IMMEDIATE]


def test_an_item_that_is_no_rule_is_unsupported_and_says_so():
    result = compiled(
        f"# R\n{LEVELS}\n## Escalation\n\n1. **Engineer**: first\n\n- P1: use good sense\n"
    )
    line = len(f"# R\n{LEVELS}\n## Escalation\n\n1. **Engineer**: first\n\n".split("\n"))
    assert [e.status for e in result.ledger if e.line == line] == [LineStatus.UNSUPPORTED]
    assert "T123" in codes(result)


def test_a_rung_that_nothing_reaches_is_reported():
    result = compiled(
        f"# R\n{LEVELS}\n## Escalation path\n\n1. **Engineer**: first\n2. **Director**\n"
    )
    [finding] = [f for f in result.findings if f.code == "T126"]
    assert "Director" in finding.message


def test_a_runbook_without_levels_and_without_escalation_is_an_error():
    assert codes(compiled("# R\n\nSome words.\n")) == ["T100"]
    assert codes(compiled("")) == ["T150"]
    assert codes(compile_runbook({})) == ["T150"]


def test_a_level_that_pages_nobody_at_once_is_reported():
    result = compiled(f"# R\n{LEVELS}\n## Escalation\n\n- P0: page the manager immediately\n")
    assert [f.message for f in result.findings if f.code == "T106"] == [
        f"Nobody is paged when a {level} incident begins." for level in ("P1", "P2", "P3")
    ]


# --- Communication -----------------------------------------------------------------------------


def communications_of(text):
    result = compiled(f"# R\n{LEVELS}\n## Communication\n\n{text}\n")
    assert_ledger_is_complete(result)
    return result.policy.communications


def account_of(text, heading):
    result = compiled(f"# R\n{LEVELS}\n## {heading}\n\n{text}\n")
    assert_ledger_is_complete(result)
    return result.ledger[-1].status, result.ledger[-1].rule


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("- Slack: #ops", LineStatus.AUTOMATED, "communication rule"),
        ("- Slack: #ops every 30 minutes", LineStatus.AUTOMATED, "every 30 min is not sent yet"),
        ("- Status page: update hourly", LineStatus.HUMAN, "every 1 h is not sent yet"),
        ("- Slack: for P0 incidents", LineStatus.HUMAN, "names no address"),
    ],
)
def test_the_ledger_says_what_of_a_communication_rule_is_left_to_a_person(text, status, said):
    account = account_of(text, "Communication")
    assert account[0] is status
    assert said in account[1]


@pytest.mark.parametrize(
    ("source", "status", "said"),
    [
        ("Prometheus", LineStatus.AUTOMATED, "alerts are received"),
        ("Alerts of our monitoring", LineStatus.AUTOMATED, "alerts are received"),
        ("Monitoring alerts (Sentry, Prometheus)", LineStatus.AUTOMATED, "; Sentry: no receiver"),
        ("Monitoring alerts (Foobar, Prometheus)", LineStatus.AUTOMATED, "; Foobar: no receiver"),
        ("Monitoring alerts (P0 only)", LineStatus.AUTOMATED, "alerts are received"),
        ("User reports", LineStatus.AUTOMATED, "reports are received"),
        ("Complaints from customers", LineStatus.AUTOMATED, "reports are received"),
        ("Sentry alerts", LineStatus.UNSUPPORTED, "Alertmanager API"),
        ("Monitoring alerts (Datadog, Foobar)", LineStatus.UNSUPPORTED, "Alertmanager API"),
        ("Health check failures", LineStatus.UNSUPPORTED, "Alertmanager API"),
        ("Automated tests", LineStatus.UNSUPPORTED, "Alertmanager API"),
        ("A look at the dashboards", LineStatus.HUMAN, "a person"),
    ],
)
def test_a_detection_source_counts_as_automated_only_if_something_receives_it(source, status, said):
    account = account_of(f"### Detection\n\n**Sources:**\n- {source}", "Incident process")
    assert account[0] is status
    assert said in account[1]


@pytest.mark.parametrize(
    ("text", "channel", "target", "levels", "cadence_s"),
    [
        ("- Slack: #ops, for P0", "slack", "#ops", ("P0",), None),
        ("- Post in #ops every 30 minutes", "slack", "#ops", ("P0", "P1", "P2", "P3"), 1800),
        ("- Email: ops@example.org hourly for P1+", "email", "ops@example.org", ("P0", "P1"), 3600),
        ("- E-mail: inform the leadership for P0", "email", "leadership", ("P0",), None),
        ("- Status page: update every hour", "status_page", None, ("P0", "P1", "P2", "P3"), 3600),
        ("- SMS: notify customers for P0", "sms", "customers", ("P0",), None),
    ],
)
def test_channels_targets_filters_and_rhythms(text, channel, target, levels, cadence_s):
    [rule] = communications_of(text)
    assert (rule.channel, rule.target, rule.severity, rule.cadence_s) == (
        channel, target, levels, cadence_s,
    )  # fmt: skip


def test_a_table_of_channels_is_read_row_by_row():
    rules = communications_of(
        "| Channel | Audience | When |\n|---|---|---|\n"
        "| Slack #war | engineers | P0/P1 |\n| Email | notify users | P0 |\n"
    )
    assert [(r.channel, r.target, r.severity) for r in rules] == [
        ("slack", "#war", ("P0", "P1")),
        ("email", "users", ("P0",)),
    ]


def test_message_templates_are_templates():
    result = compiled(
        f"# R\n{LEVELS}\n## Communication\n\n- Slack: #x\n\n```\n[Time] We look.\n```\n"
    )
    assert [e.status for e in result.ledger][-3:] == [LineStatus.TEMPLATE] * 3


def test_what_names_no_channel_is_unsupported():
    result = compiled(f"# R\n{LEVELS}\n## Communication\n\n- Tell everybody across the room\n")
    assert "T135" in codes(result)
    assert result.ledger[-1].status is LineStatus.UNSUPPORTED


# --- Scenarios ---------------------------------------------------------------------------------


def play_of(text):
    result = compiled(f"# R\n{LEVELS}\n## Common incident scenarios\n\n{text}\n")
    assert_ledger_is_complete(result)
    [play] = result.policy.plays
    return play, result


def test_a_level_at_the_end_of_a_heading_belongs_to_the_play():
    play, _ = play_of(
        "### Scenario 3: Database down (P1)\n\n**Symptoms:**\n- x\n\n**Steps:**\n1. y\n"
    )
    assert (play.name, play.severity) == ("Database down", "P1")


def test_commented_commands_become_steps_where_no_list_asks_for_them():
    play, _ = play_of(
        "### Slow\n\n```bash\n# 1. Check pods\nkubectl get pods -n a\n\n# 2. Restart if needed\n"
        "kubectl rollout restart deployment/x -n a\n```\n"
    )
    assert [(s.text, s.kind, s.condition) for s in play.steps] == [
        ("Check pods", StepKind.DIAGNOSTIC, None),
        ("Restart if needed", StepKind.ACTION, "if needed"),
    ]


def test_a_fence_under_a_step_belongs_to_it():
    play, _ = play_of(
        "### Slow\n\n**Steps:**\n\n1. Look\n\n   ```bash\n   kubectl get pods\n   ```\n\n2. Think\n"
    )
    assert [(s.text, len(s.commands)) for s in play.steps] == [("Look", 1), ("Think", 0)]
    assert play.steps[0].commands[0].source.line == play.steps[0].source.line + 3


def test_every_line_of_commands_is_a_persons_as_long_as_none_is_run():
    _, result = play_of(
        "### Slow\n\n**Steps:**\n\n1. Look\n\n   ```bash\n   kubectl get pods\n   ```\n\n"
        "2. Restart: `kubectl rollout restart deployment/x`\n3. Verify it recovered: `kubectl get pods`\n"
    )
    told = [(e.status, e.rule.split(",")[0]) for e in result.ledger][-6:]
    assert told == [
        (LineStatus.HUMAN, "diagnostic step"),
        (LineStatus.HUMAN, "commands of a step"),
        (LineStatus.HUMAN, "read-only command"),
        (LineStatus.HUMAN, "commands of a step"),
        (LineStatus.HUMAN, "action"),
        (LineStatus.HUMAN, "check that the fix holds"),
    ]


def test_prompts_are_stripped_and_their_output_is_no_command():
    play, _ = play_of(
        "### Slow\n\n**Commands:**\n\n```console\n$ kubectl get pods\nNAME READY\nweb 1/1\n```\n"
    )
    assert [c.text for s in play.steps for c in s.commands] == ["kubectl get pods"]


def test_a_placeholder_is_no_redirection():
    play, result = play_of(
        "### Slow\n\n**Commands:**\n\n```bash\nkubectl describe pod <pod-name> -n a\n```\n"
    )
    [command] = play.steps[0].commands
    assert command.argv == ("kubectl", "describe", "pod", "<pod-name>", "-n", "a")
    assert "T119" in codes(result)


@pytest.mark.parametrize(
    "line",
    [
        "kubectl get pods > /tmp/pods",
        "kubectl get pods && kubectl delete pod x",
        "kubectl get pods; rm -rf /",
        "kubectl get pods | xargs kubectl delete pod",
        "kubectl get pods | sh",
        "kubectl get pods $(cat x)",
        "kubectl get `cat x`",
        "for p in a b; do kubectl delete pod $p; done",
        "PGPASSWORD=x psql -c 'SELECT 1'",
        "kubectl get pods &",
        "ls *.log",
    ],
)
def test_what_only_a_shell_could_run_is_a_persons_step(line):
    play, result = play_of(f"### Slow\n\n**Commands:**\n\n```bash\n# Do it\n{line}\n```\n")
    assert play.steps[0].commands[0].argv is None or line.startswith("kubectl get pods;")
    assert not any(
        c.argv and ("rm" in c.argv or "delete" in c.argv) and c.kind.value == "read_only"
        for s in play.steps
        for c in s.commands
    )
    if not line.startswith("kubectl get pods;"):
        assert play.steps[0].kind is StepKind.HUMAN
        assert "T108" in codes(result)


def test_pipes_into_filters_are_no_shell():
    play, _ = play_of(
        "### Slow\n\n**Commands:**\n\n```bash\nkubectl get pods -n a | grep -v Running | head -5\n```\n"
    )
    [command] = play.steps[0].commands
    assert command.argv == ("kubectl", "get", "pods", "-n", "a")
    assert "grep, head" in command.why


def test_a_check_after_an_action_is_proof_and_not_diagnosis():
    play, _ = play_of(
        "### Slow\n\n**Response:**\n\n1. Restart: `kubectl rollout restart deployment/x`\n"
        "2. Verify it recovered: `kubectl get pods`\n\n**Verification:**\n\n- See: `kubectl top pods`\n"
    )
    assert [s.kind for s in play.steps] == [StepKind.ACTION, StepKind.CHECK, StepKind.CHECK]


def test_a_broken_line_does_not_spoil_its_neighbours():
    play, _ = play_of(
        '### Slow\n\n**Commands:**\n\n```bash\nkubectl get pods\n((( "\nkubectl get nodes\n```\n'
    )
    argvs = [c.argv for s in play.steps for c in s.commands if c.argv]
    assert argvs == [("kubectl", "get", "pods"), ("kubectl", "get", "nodes")]


# --- Several documents -------------------------------------------------------------------------

ALERT = """\
---
title: Disk full
---

# DiskFull

## Meaning

The disk is nearly full. More words.

## Impact

Writes fail.

## Diagnosis

- Look: `kubectl top nodes`

## Mitigation

Remove old logs.
"""


def test_an_alert_document_beside_a_process_document_is_a_play_under_its_policy():
    process = f"# R\n{LEVELS}\n## Escalation path\n\n1. **Engineer**: first response\n"
    result = compile_runbook({"process.md": process, "alerts/DiskFull.md": ALERT})
    assert_ledger_is_complete(result)
    [play] = result.policy.plays
    assert (play.name, play.source.file, play.source.line) == ("DiskFull", "alerts/DiskFull.md", 5)
    assert [s.text for s in play.symptoms] == ["The disk is nearly full."]
    assert [(s.text, s.kind) for s in play.steps] == [
        ("Look", StepKind.DIAGNOSTIC),
        ("Remove old logs.", StepKind.HUMAN),
    ]
    assert result.policy.title == "R"
    assert len(result.policy.severities) == 4


def test_alert_documents_alone_are_no_error_but_page_nobody():
    result = compile_runbook({"DiskFull.md": ALERT})
    assert codes(result) == ["T105"]
    assert not result.has_errors


def test_a_second_scheme_steps_back_and_says_so():
    other = "# Other\n\n## Severity\n\n### SEV1\n- x\n\n### SEV2\n- y\n\n## Escalation\n\n- SEV1: page the boss at once\n"
    process = f"# R\n{LEVELS}\n## Escalation path\n\n1. **Engineer**: first response\n\n## Communication\n\n- Slack: #x\n"
    result = compile_runbook({"a-other.md": other, "process.md": process})
    assert_ledger_is_complete(result)
    assert [s.level for s in result.policy.severities] == ["P0", "P1", "P2", "P3"]
    assert all(r.to == ("Engineer",) for r in result.policy.escalations)
    assert "T103" in codes(result)


def test_levels_that_differ_only_in_how_they_are_written_are_one_scheme():
    declared = "# R\n\n## Severity\n\n### SEV-1\n- x\n\n### SEV-2\n- y\n"
    other = declared.replace("SEV-", "Sev ") + "\n## Escalation\n\n- Sev 1: page the boss at once\n"
    result = compile_runbook({"a.md": declared, "b.md": other})
    assert "T103" not in codes(result)
    [rule] = result.policy.escalations
    assert rule.to == ("boss",)
    assert rule.severity == (result.policy.severities[0].level,)


def test_order_of_sections_does_not_matter():
    path = "## Escalation path\n\n1. **Engineer**: first response\n2. **Lead**: for P1+\n\n- P1: escalate after 1 hour\n"
    before = compiled(f"# R\n\n{path}\n{LEVELS}\n").policy.escalations
    after = compiled(f"# R\n{LEVELS}\n\n{path}\n").policy.escalations
    assert [(r.severity, r.clock, r.to) for r in before] == [
        (r.severity, r.clock, r.to) for r in after
    ]


def test_a_fence_that_is_never_closed_is_reported():
    result = compiled(
        f"# R\n{LEVELS}\n## Escalation path\n\n1. **Engineer**: first\n\n```bash\nls\n"
    )
    assert "T151" in codes(result)


def test_a_template_in_a_fence_is_a_template():
    result = compiled(
        f"# R\n{LEVELS}\n## Post-mortem template\n\n```markdown\n## Summary\n[What]\n\n## Timeline\n- HH:MM\n```\n"
    )
    sections = result.policy.postmortem.sections
    assert [(s.title, [p.text for p in s.prompts]) for s in sections] == [
        ("Summary", ["[What]"]),
        ("Timeline", ["HH:MM"]),
    ]


def test_a_question_with_if_sets_no_condition():
    play, _ = play_of(
        "### Slow\n\n**Steps:**\n\n1. Check if the pods run\n2. Restart it if the pods are stuck\n"
    )
    assert [s.condition for s in play.steps] == [None, "if the pods are stuck"]


def test_under_escalate_to_any_few_words_are_somebody():
    text = "| Severity | Escalate after | Escalate to |\n|---|---|---|\n| P0 | Immediately | All hands |\n"
    assert rules_of(text) == [(("P0",), Clock.IMMEDIATE, 0, ("All hands",))]


def test_a_list_of_links_is_no_scenario():
    result = compiled(f"# R\n{LEVELS}\n## Related runbooks\n\n- [Other](other.md)\n")
    assert result.policy.plays == ()
