"""A clock that was set back is told from one that runs slowly, and from one that was asleep."""

from __future__ import annotations

from datetime import timedelta

from tests.core.world import START
from tocsin.core.timekeeping import STEP_S_MIN, Reading, after_step, behind_s, follow


def seen(s: float, latest: float | None = None, steps: int = 0) -> Reading:
    latest = s if latest is None else latest
    return Reading(START + timedelta(seconds=s), START + timedelta(seconds=latest), steps)


def test_a_clock_that_keeps_pace_is_not_behind():
    pace, _ = follow(None, seen(0), 100.0)
    assert behind_s(pace, seen(60), 160.0) == 0.0
    assert pace.at(160.0) == START + timedelta(seconds=60)


def test_time_that_passed_and_is_not_shown_is_a_step_back():
    pace, _ = follow(None, seen(0), 100.0)
    assert abs(behind_s(pace, seen(-3540, latest=-3540), 160.0) - 3600) < 0.1


def test_without_a_pace_only_the_latest_time_is_known():
    assert behind_s(None, seen(-600, latest=0), 5.0) == 600.0
    assert behind_s(None, seen(0), 5.0) == 0.0


def test_a_step_that_another_dealt_with_is_none_of_ours():
    pace, _ = follow(None, seen(0), 100.0)
    assert behind_s(pace, seen(-3540, latest=-3540, steps=1), 160.0) == 0.0
    assert follow(pace, seen(-3540, steps=1), 160.0)[0] == after_step(seen(-3540), 160.0)


def test_what_ntp_may_do_in_an_hour_is_no_step():
    pace, _ = follow(None, seen(0), 0.0)
    assert behind_s(pace, seen(3600 - 1.8), 3600.0) == 0.0


def test_small_steps_add_up_and_are_forgotten_only_slowly():
    pace, _ = follow(None, seen(0), 0.0)
    pace, _ = follow(pace, seen(9.1), 10.0)
    assert behind_s(pace, seen(18.2), 20.0) == 0.0
    pace, _ = follow(pace, seen(18.2), 20.0)
    assert behind_s(pace, seen(27.3), 30.0) > STEP_S_MIN


def test_a_step_forward_is_followed_at_once_and_told():
    pace, forward = follow(None, seen(0), 0.0)
    assert forward == 0.0
    pace, forward = follow(pace, seen(70), 10.0)
    assert forward == 60.0
    assert behind_s(pace, seen(80), 20.0) == 0.0
    assert abs(behind_s(pace, seen(20), 20.0) - 60.0) < 0.1
