"""Any team's runbook can be played: every scenario is recognised by its own words, and drawn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.reports.pages import problems_of
from tocsin.core.events import PageAsked
from tocsin.core.surroundings import Surroundings
from tocsin.reports.course import course
from tocsin.reports.timeline import Sheet, timeline_page
from tocsin.runbook import compile_runbook
from tocsin.sim.simulation import Simulation, signal_of

EXAMPLES = Path(__file__).parents[2] / "examples"
START = datetime(2026, 12, 24, 3, 0, tzinfo=UTC)


def played(policy, play, level):
    simulation = Simulation(
        policy,
        Surroundings(),
        START,
        ack_after=timedelta(minutes=7),
        resolve_after=timedelta(hours=30),
    )
    simulation.hear(signal_of(START, scenario=play, severity=level), START)
    simulation.finish()
    return simulation


def assert_it_can_be_played(path):
    policy = compile_runbook({path.name: path.read_text("utf-8", errors="replace")}).policy
    for play in (None, *policy.plays):
        simulation = played(policy, play, "")
        assert any(isinstance(h.event, PageAsked) for h in simulation.happened)
        assert simulation.world.incident("INC-1").phase.is_over
        if play is not None:
            assert simulation.world.incident("INC-1").play == play.name
        moments = course((h.at, h.incident, h.event) for h in simulation.happened)
        ranks = {severity.level: severity.rank for severity in policy.severities}
        drawn = timeline_page(Sheet("x", (), START, START, UTC, ranks), moments)
        assert problems_of(drawn) == []
    for severity in policy.severities:
        graded = played(policy, None, severity.level).world.incident("INC-1")
        assert graded.severity == severity.level


def test_the_example_can_be_played():
    assert_it_can_be_played(EXAMPLES / "neurocred" / "incident-response.md")


@pytest.mark.parametrize("kind", ["process", "alerts"])
def test_shared_documents_can_be_played(shared_dir, kind):
    documents = sorted((shared_dir / "corpus" / kind).rglob("*.md"))
    assert documents
    for path in documents:
        try:
            assert_it_can_be_played(path)
        except AssertionError as error:
            raise AssertionError(str(path)) from error
