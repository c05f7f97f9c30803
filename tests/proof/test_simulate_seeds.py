from __future__ import annotations

import pytest

from tests.proof import simulate_seeds


@pytest.mark.xdist_group("proof")
def test_two_hundred_worlds_break_no_promise() -> None:
    assert simulate_seeds.main(["--short"]) == 0


def test_a_seed_is_told_as_a_story(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate_seeds.main(["--seed", "3"]) == 0
    assert "Every promise held." in capsys.readouterr().out


def test_a_world_that_broke_nothing_is_not_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate_seeds.main(["--seed", "3", "--save"]) == 2
    assert "nothing to keep" in capsys.readouterr().out
