"""Who is told: the labelled cases, and what becomes of what is no rule."""

from __future__ import annotations

from tests.runbook.documents import PROCESS, assert_ledger_is_complete, codes, compiled
from tests.runbook.labelled.evaluate import score
from tocsin.core.policy import LineStatus


def test_no_rule_of_communication_is_invented() -> None:
    total = score("communication")
    assert total.near_misses >= 20
    assert total.invented == 0
    assert total.precision == 1.0


def test_rules_of_communication_are_found() -> None:
    total = score("communication")
    assert total.cases >= 70
    assert total.recall >= 0.97


def test_what_people_do_around_a_message_becomes_a_checklist() -> None:
    text = f"{PROCESS}\n## Communication\n\n- Slack: #shop\n- Assign somebody who writes\n"
    result = compiled(text)
    assert [i.text for c in result.policy.checklists for i in c.items] == [
        "Assign somebody who writes"
    ]
    assert "T135" not in codes(result)


def test_a_sentence_that_tells_by_no_channel_is_a_finding() -> None:
    result = compiled(f"{PROCESS}\n## Communication\n\n- Notify the directors\n")
    assert codes(result).count("T135") == 1


def test_a_message_is_a_template_and_a_command_is_none() -> None:
    text = f"{PROCESS}\n## Communication\n\n```\nWe look into it.\n```\n\n```bash\ncurl https://x.example\n```\n"
    result = compiled(text)
    by_rule = {e.rule: e.status for e in result.ledger}
    assert by_rule["message template"] is LineStatus.TEMPLATE
    assert by_rule["code block nothing refers to"] is LineStatus.REFERENCE


def test_a_rule_that_needs_approval_is_left_to_a_person() -> None:
    result = compiled(f"{PROCESS}\n## Communication\n\n- Slack: #shop, approval required\n")
    assert result.policy.communications[0].approval
    assert next(e for e in result.ledger if "approve" in e.rule).status is LineStatus.HUMAN


def test_a_promise_of_a_level_is_no_finding_once_it_is_a_rule() -> None:
    levels = PROCESS.replace(
        "- Everything is down", "- Everything is down\n- Updates: every 20 min"
    )
    result = compiled(levels)
    assert [(r.severity, r.cadence_s) for r in result.policy.communications] == [(("P0",), 1200)]
    assert "T136" not in codes(result)
    assert_ledger_is_complete(result)


def test_an_escalation_below_communication_is_still_one() -> None:
    text = f"{PROCESS}\n## Communication\n\n- Slack: #shop\n\n### Escalation to the board\n\n- P0: page the board after 2 hours\n"
    assert any("board" in r.to[0] for r in compiled(text).policy.escalations if r.after_s == 7200)
