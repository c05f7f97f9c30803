"""Documents that divide, wrap and label what they say in other ways than headings and lists."""

from __future__ import annotations

import pytest

from tests.runbook.documents import PROCESS, assert_ledger_is_complete, codes, compiled
from tocsin.core.policy import LineStatus, StepKind
from tocsin.runbook import Compiled

BOLD = """\
**Severity levels**

- P1: all is down
- P2: some is down

**Escalation:**

- P1: escalate to the CTO after 10 minutes

**Communication**

- Slack: #inc every 20 minutes
"""


def status(result: Compiled, words: str) -> LineStatus:
    text = next(iter(result.documents.values())).split("\n")
    line = next(n for n, row in enumerate(text, start=1) if words in row)
    return next(e.status for e in result.ledger if e.line == line)


def steps(text: str) -> list[str]:
    return [step.text for play in compiled(text).policy.plays for step in play.steps]


def scenario(body: str) -> str:
    return f"{PROCESS}\n## Scenarios\n\n### Queue stuck\n\n{body}"


def test_bold_lines_divide_a_document_without_headings() -> None:
    policy = compiled(BOLD).policy
    assert [s.level for s in policy.severities] == ["P1", "P2"]
    assert [(r.to, r.after_s) for r in policy.escalations] == [(("CTO",), 600)]
    assert [(r.target, r.cadence_s) for r in policy.communications] == [("#inc", 1200)]


def test_bold_lines_are_only_labels_where_there_are_headings() -> None:
    text = scenario(
        "**Symptoms:**\n\n- Jobs wait\n\n**Escalation:**\n\n- Ask the data team\n\n**Steps:**\n\n- Look\n"
    )
    play = compiled(text).policy.plays[0]
    assert [s.text for s in play.symptoms] == ["Jobs wait"]
    assert [s.text for s in play.steps] == ["Look"]
    assert "T164" in codes(compiled(text))


def test_setext_headings_are_headings() -> None:
    text = PROCESS.replace("## Severity levels\n", "Severity levels\n---------------\n")
    assert len(compiled(text).policy.severities) == 4


@pytest.mark.parametrize(
    "note",
    [
        "> [!WARNING]\n> Never delete the queue.\n",
        '!!! warning "Careful"\n    Never delete the queue.\n',
        ":::warning\nNever delete the queue.\n:::\n",
        "> **Note**: Never delete the queue.\n",
    ],
)
def test_an_admonition_is_no_step(note: str) -> None:
    text = (
        f"# QueueStuck\n\n## Meaning\n\nJobs wait.\n\n## Diagnosis\n\n{note}\nLook at the queue.\n"
    )
    assert steps(text) == ["Look at the queue."]
    result = compiled(text)
    assert_ledger_is_complete(result)
    assert status(result, "Never delete") is LineStatus.REFERENCE


def test_commands_inside_an_admonition_are_read_with_their_place() -> None:
    note = "!!! tip\n    Look first:\n\n    ```bash\n    kubectl get pods -n q\n\n    kubectl get nodes\n    ```\n"
    result = compiled(scenario(note))
    commands = [c for s in result.policy.plays[0].steps for c in s.commands]
    assert [c.argv for c in commands] == [
        ("kubectl", "get", "pods", "-n", "q"),
        ("kubectl", "get", "nodes"),
    ]
    rows = next(iter(result.documents.values())).split("\n")
    assert "get pods" in rows[commands[0].source.line - 1]
    assert not result.has_errors


def test_what_looks_like_a_wrapper_inside_a_code_block_stays() -> None:
    text = scenario(
        "```bash\nkubectl get pods\n```\n\n```text\n:::\n!!! x\n<details>\n```\n\n- Look\n"
    )
    assert "T151" not in codes(compiled(text))
    assert "Look" in steps(text)


def test_folded_details_are_read_and_their_summary_is_a_label() -> None:
    text = scenario(
        "- Look\n\n<details>\n<summary>Symptoms</summary>\n\n- Jobs wait\n\n</details>\n"
    )
    play = compiled(text).policy.plays[0]
    assert [s.text for s in play.symptoms] == ["Jobs wait"]


def test_a_table_in_html_is_unsupported_and_said() -> None:
    result = compiled(f"{PROCESS}\n## More\n\n<table>\n<tr><td>P0</td></tr>\n</table>\n")
    assert "T152" in codes(result)
    assert status(result, "<table>") is LineStatus.UNSUPPORTED


def test_a_checklist_inside_a_text_block_is_steps() -> None:
    body = "**Steps:**\n\n```\n[ ] 1. Look at the queue\n    - and its age\n[ ] 2. Restart the worker\n```\n"
    assert steps(scenario(body)) == ["Look at the queue", "Restart the worker"]


def test_a_form_inside_a_text_block_is_a_template() -> None:
    result = compiled(
        f"{PROCESS}\n## Forms\n\n```\nSubject: [Service] trouble\nStatus: <status>\n```\n"
    )
    assert status(result, "Subject") is LineStatus.TEMPLATE


def test_code_that_holds_brackets_is_no_template() -> None:
    result = compiled(f"{PROCESS}\n## Metrics\n\n```promql\nrate(errors[Five])\nsum(x[Two])\n```\n")
    assert status(result, "rate(") is LineStatus.REFERENCE


def test_commands_belong_to_the_words_just_above_them() -> None:
    body = "Look at the pods:\n\n```bash\nkubectl get pods\n```\n\n1. Restart the worker\n\n```bash\nkubectl rollout restart deployment/worker\n```\n"
    play = compiled(scenario(body)).policy.plays[0]
    assert [(s.text, s.kind) for s in play.steps] == [
        ("Look at the pods", StepKind.DIAGNOSTIC),
        ("Restart the worker", StepKind.ACTION),
    ]


def test_a_numbered_heading_over_commands_is_their_step() -> None:
    body = "#### Step 2: Look at the pods\n\n```bash\nkubectl get pods\n```\n"
    assert steps(scenario(body)) == ["Look at the pods"]


def test_an_alert_field_names_the_alert_and_its_condition_is_a_symptom() -> None:
    text = (
        f"{PROCESS}\n## Storage alerts\n\n### Disk low\n\n**Severity:** P1 - High\n"
        "**Alert:** `DiskLow` - less than 10% free\n\n**Investigation:**\n\n- Look\n"
    )
    play = compiled(text).policy.plays[0]
    assert (play.severity, play.alert) == ("P1", ("DiskLow",))
    assert [s.text for s in play.symptoms] == ["less than 10% free"]


def test_a_heading_that_is_an_alert_name_is_one_whatever_its_words_mean() -> None:
    text = f"{PROCESS}\n## Alerts\n\n### NotificationQueueHigh\n\n**Investigation:**\n- Look\n\n**Resolution:**\n- Mend\n"
    policy = compiled(text).policy
    assert policy.plays[0].alert == ("NotificationQueueHigh",)
    assert not policy.communications


@pytest.mark.parametrize("title", ["PostgreSQL connections", "WebSocket disconnects", "Redis"])
def test_a_heading_of_words_is_no_alert_name(title: str) -> None:
    text = f"{PROCESS}\n## Scenarios\n\n### {title}\n\n- Look\n"
    assert compiled(text).policy.plays[0].alert == ()


def test_procedures_become_plays_without_symptoms() -> None:
    text = f"{PROCESS}\n## Rollback procedures\n\n### Application\n\n```bash\nkubectl rollout undo deployment/app\n```\n"
    assert [p.name for p in compiled(text).policy.plays] == ["Application"]


def test_the_steps_of_the_process_are_no_scenario() -> None:
    text = f"{PROCESS}\n## Initial response\n\n### Triage\n\n- Open a channel\n\n### Investigation\n\n- Look\n"
    policy = compiled(text).policy
    assert not policy.plays
    assert [c.title for c in policy.checklists] == ["Triage", "Investigation"]


def test_a_short_text_under_the_name_of_an_alert_explains_it() -> None:
    play = compiled("# QueueStuck\n\nRestart the worker.\n").policy.plays[0]
    assert (play.alert, [s.text for s in play.steps]) == (("QueueStuck",), ["Restart the worker."])


def test_an_alert_document_may_tell_what_to_do_after_the_incident() -> None:
    text = "# Queue\n\n**Alert:** `QueueStuck`\n\n## Symptoms\n\n- Jobs wait\n\n## Diagnosis\n\n- Look\n\n## Post-Incident\n\n- Tell\n"
    assert compiled(text).policy.plays[0].alert == ("QueueStuck",)


def test_bold_labels_on_lines_of_one_paragraph_are_labels_each() -> None:
    body = "**Symptoms:** Jobs wait\n**Check:**\n```bash\nkubectl get pods\n```\n**Resolution:**\n- Mend\n"
    play = compiled(scenario(body)).policy.plays[0]
    assert [s.text for s in play.symptoms] == ["Jobs wait"]
    assert [s.kind for s in play.steps] == [StepKind.DIAGNOSTIC, StepKind.HUMAN]


def test_a_heading_may_name_two_alerts() -> None:
    text = f"{PROCESS}\n## Security\n\n### Alert: DeniedOften / DeniedSecrets\n\n**Immediate actions:**\n\n- Look\n"
    assert compiled(text).policy.plays[0].alert == ("DeniedOften", "DeniedSecrets")


@pytest.mark.parametrize("title", ["How to use these playbooks", "Overview of runbooks"])
def test_words_about_playbooks_are_no_scenarios(title: str) -> None:
    text = f"{PROCESS}\n## {title}\n\n### Find yours\n\n- Open the folder\n"
    assert not compiled(text).policy.plays
