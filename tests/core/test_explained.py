"""An alert finds its document by its link, then by its name; words only suggest one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tocsin.core.explained import explained_by, play_at
from tocsin.core.inputs import Signal
from tocsin.core.policy import Policy
from tocsin.core.severity import choose_play, grade_signal
from tocsin.core.surroundings import Tuning
from tocsin.runbook import compile_runbook

PROCESS = """\
# Incidents

## Severity levels

- P0: everything is down
- P1: much is down
- P2: little is down

## Escalation

- P0: page the lead immediately

## Scenarios

### Queue stuck

- Look at the queue

### Cache cold (P1)

- Warm the cache
"""
DISK = "# Disk full\n\n**Alert:** `NodeDiskFull`\n**Severity:** P0\n\n## Symptoms\n\n- Writes fail\n\n## Steps\n\n- Look\n"
ODD = "# QueueOld\n\n## Meaning\n\nJobs wait long.\n\n## Diagnosis\n\n- Look\n"
POLICY = compile_runbook(
    {
        "runbooks/incidents.md": PROCESS,
        "runbooks/alerts/disk-full.md": DISK,
        "runbooks/alerts/queue.md": ODD,
    }
).policy
URLS = {"https://wiki.example.org/books/": "alerts"}


def signal(name: str = "", url: str = "", **labels: str) -> Signal:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    if name:
        labels["alertname"] = name
    annotations = {"runbook_url": url} if url else {}
    return Signal("f", "prometheus", name, at, labels, annotations)


def name_of(policy: Policy, sent: Signal, **tuning: Any) -> str | None:
    found = explained_by(policy, Tuning(**tuning), sent)
    return found.play.name if found else None


@pytest.mark.parametrize(
    ("name", "play"),
    [
        ("DiskFull", "Disk full"),
        ("disk_full", "Disk full"),
        ("NodeDiskFull", "Disk full"),
        ("QueueOld", "QueueOld"),
        ("Queue", "QueueOld"),
        ("QueueStuck", "Queue stuck"),
        ("CacheCold", "Cache cold"),
        ("DiskFullSoon", None),
        ("Runbooks", None),
        ("", None),
    ],
)
def test_an_alert_finds_its_play_by_name(name: str, play: str | None) -> None:
    assert name_of(POLICY, signal(name)) == play


@pytest.mark.parametrize(
    ("url", "play"),
    [
        ("https://wiki.example.org/books/disk-full", "Disk full"),
        ("https://wiki.example.org/books/disk-full.md?x=1#symptoms", "Disk full"),
        ("https://wiki.example.org/books/Disk-Full.html", "Disk full"),
        ("https://wiki.example.org/books/other/disk-full", None),
        ("https://git.example.org/r/blob/main/runbooks/alerts/queue.md", "QueueOld"),
        ("https://git.example.org/r/blob/main/runbooks/incidents.md#queue-stuck", "Queue stuck"),
        ("https://git.example.org/r/blob/main/runbooks/incidents.md#cache-cold-p1", "Cache cold"),
        ("https://git.example.org/r/blob/main/runbooks/incidents.md", None),
        ("runbooks/alerts/disk-full.md", "Disk full"),
        ("https://git.example.org/nothing", None),
        ("https://[broken", None),
        ("", None),
    ],
)
def test_a_link_leads_to_its_document_and_anchor(url: str, play: str | None) -> None:
    found = play_at(POLICY, URLS, url)
    assert (found.name if found else None) == play


def test_the_link_counts_before_the_name() -> None:
    sent = signal("QueueStuck", "https://wiki.example.org/books/disk-full")
    assert name_of(POLICY, sent, runbook_urls=URLS) == "Disk full"
    lost = signal("QueueStuck", "https://elsewhere.example.org/none")
    assert name_of(POLICY, lost) == "Queue stuck"


def test_an_end_that_two_documents_share_leads_nowhere() -> None:
    two = compile_runbook({"a/queue.md": ODD, "b/queue.md": ODD, "p.md": PROCESS}).policy
    assert play_at(two, {}, "https://x.example.org/queue") is None
    assert play_at(two, {}, "https://x.example.org/b/queue") is not None


def test_the_level_of_the_document_grades_before_words_do() -> None:
    grade = grade_signal(POLICY, Tuning(), signal("DiskFull"))
    assert (grade.level, grade.words) == ("P0", ("alertname=DiskFull",))
    assert grade.source is not None
    assert grade.source.file == "runbooks/alerts/disk-full.md"


def test_a_label_grades_before_the_document() -> None:
    assert grade_signal(POLICY, Tuning(), signal("DiskFull", severity="P2")).level == "P2"


def test_words_suggest_a_play_only_where_nothing_names_one() -> None:
    by_name = choose_play(POLICY, Tuning(), signal("DiskFull", job="queue stuck"))
    assert by_name is not None
    assert by_name.play == "Disk full"
    by_words = choose_play(POLICY, Tuning(), signal("Other", job="queue stuck"))
    assert by_words is not None
    assert by_words.play == "Queue stuck"


def test_plays_of_one_name_are_told_apart_by_their_documents() -> None:
    policy = compile_runbook({"a/x.md": ODD, "b/y.md": ODD}).policy
    assert [play.name for play in policy.plays] == ["QueueOld", "QueueOld (y.md)"]
    assert name_of(policy, signal("y")) == "QueueOld (y.md)"


def test_a_team_adds_words_that_mean_the_same() -> None:
    policy = compile_runbook({"p.md": PROCESS}).policy
    sent = signal("Conveyor", job="conveyor stuck")
    assert choose_play(policy, Tuning(), sent) is None
    found = choose_play(policy, Tuning(same_words=(("conveyor", "queue"),)), sent)
    assert found is not None
    assert found.play == "Queue stuck"
    assert "conveyor" in found.words


def test_a_group_joins_what_its_words_meant_before() -> None:
    tuning = Tuning(same_words=(("slow", "outage"),))
    policy = compile_runbook({"p.md": PROCESS.replace("Queue stuck", "Shelf outage")}).policy
    found = choose_play(policy, tuning, signal("X", job="shelf latency"))
    assert found is not None
    assert found.play == "Shelf outage"
