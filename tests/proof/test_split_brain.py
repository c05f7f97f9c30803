from __future__ import annotations

import pytest

from tests.proof import split_brain


@pytest.mark.xdist_group("proof")
def test_ten_stops_double_nothing_and_lose_nothing() -> None:
    assert split_brain.main(["--short"]) == 0
