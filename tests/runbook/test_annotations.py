"""Annotations add what prose cannot say, and are strict about what they say."""

from __future__ import annotations

from tests.runbook.documents import PROCESS, assert_ledger_is_complete, codes, compiled
from tocsin.core.policy import LineStatus, StepKind

DISK = """\
---
title: Disk
alerts: [DiskFull, DiskAlmostFull]
weight: 20
---

# Disk

## Symptoms

- Writes fail

## Steps

1. Look at the space: `df -h`

   ```tocsin
   query: node_filesystem_avail_bytes > 0
   ```

2. Restart the writer: `kubectl rollout restart deployment/writer`

   ```tocsin
   undo: kubectl rollout undo deployment/writer
   approval: storage lead   # by phone
   ```
"""


def test_steps_take_query_undo_and_approval_from_the_block_below_them() -> None:
    look, restart = compiled(DISK).policy.plays[0].steps
    assert (look.query, look.verification) == ("node_filesystem_avail_bytes > 0", True)
    assert restart.undo == "kubectl rollout undo deployment/writer"
    assert restart.approval == "storage lead"
    assert look.undo is None


def test_front_matter_names_the_alerts_and_other_keys_are_left_alone() -> None:
    result = compiled(DISK)
    assert result.policy.plays[0].alert == ("DiskFull", "DiskAlmostFull")
    assert "T153" not in codes(result)
    assert_ledger_is_complete(result)


def test_alerts_may_stand_one_below_the_other() -> None:
    text = DISK.replace(
        "alerts: [DiskFull, DiskAlmostFull]", "alerts:\n  - DiskFull\n  - 'Disk Slow'"
    )
    assert compiled(text).policy.plays[0].alert == ("DiskFull", "Disk Slow")


def test_a_misspelt_key_is_an_error_with_its_place_and_the_nearest_key() -> None:
    result = compiled(DISK.replace("undo:", "undoo:"))
    finding = next(f for f in result.findings if f.code == "T153")
    assert (finding.source.line, finding.column) == (24, 4)
    assert "undo" in finding.remedy
    assert result.has_errors


def test_a_line_without_a_key_and_a_key_without_a_value_are_errors() -> None:
    wrong = DISK.replace("approval: storage lead   # by phone", "approval:\n   just words")
    assert codes(compiled(wrong)).count("T153") == 2


def test_keys_below_tocsin_in_front_matter_are_strict() -> None:
    result = compiled(DISK.replace("weight: 20", "tocsin:\n  severty: P1"))
    finding = next(f for f in result.findings if f.code == "T153")
    assert (finding.source.line, finding.column) == (5, 3)


def test_a_severity_of_an_annotation_is_a_declared_level() -> None:
    scenario = "\n## Scenarios\n\n### Queue stuck\n\n```tocsin\nseverity: {}\nalerts: QueueStuck\n```\n\n- Look\n"
    play = compiled(PROCESS + scenario.format("P1")).policy.plays[0]
    assert (play.severity, play.alert) == ("P1", ("QueueStuck",))
    wrong = compiled(PROCESS + scenario.format("P9"))
    assert "T153" in codes(wrong)
    assert wrong.policy.plays[0].severity is None


def test_an_approval_above_all_steps_holds_for_each() -> None:
    scenario = (
        "\n## Scenarios\n\n### Queue\n\n```tocsin\napproval: data lead\n```\n\n- Look\n- Mend\n"
    )
    steps = compiled(PROCESS + scenario).policy.plays[0].steps
    assert [step.approval for step in steps] == ["data lead", "data lead"]


def test_an_annotation_outside_of_scenarios_is_about_nothing() -> None:
    result = compiled(PROCESS + "\n## Team\n\n```tocsin\nundo: git revert HEAD\n```\n")
    assert "T153" in codes(result)
    line = next(f for f in result.findings if f.code == "T153").source.line
    assert next(e for e in result.ledger if e.line == line).status is LineStatus.UNSUPPORTED


def test_a_query_makes_a_step_for_people_a_check() -> None:
    scenario = (
        "\n## Scenarios\n\n### Queue\n\n- Wait for the queue\n\n```tocsin\nquery: q < 5\n```\n"
    )
    step = compiled(PROCESS + scenario).policy.plays[0].steps[0]
    assert (step.kind, step.query) == (StepKind.CHECK, "q < 5")
