"""Worlds that broke a promise once, replayed for ever: what was mended stays mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.sim.seeds import replay
from tocsin.sim.story import read_scenario

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.md"))


def test_there_are_scenarios():
    assert SCENARIOS


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_world_that_broke_a_promise_keeps_it_now(path):
    scenario = read_scenario(path.read_text(encoding="utf-8"))
    played = replay(scenario.setting, scenario.steps)
    assert played.broken == ""
    assert played.commits > 0
