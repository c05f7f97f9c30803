from __future__ import annotations

import pytest

from tests.proof import time


@pytest.mark.xdist_group("proof")
def test_clocks_jump_and_no_rung_is_missed_early_or_late() -> None:
    if time.library() is None:
        pytest.skip("libfaketime is not installed")
    assert time.main(["--short"]) == 0
