"""The short form of ``make load``."""

from __future__ import annotations

import pytest

from tests.proof import load


@pytest.mark.xdist_group("proof")
def test_overload_by_one_key_loses_nothing_and_harms_nobody_else() -> None:
    assert load.main(["--short"]) == 0
