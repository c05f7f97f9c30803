from __future__ import annotations

import pytest

from tests.proof import disk_full


@pytest.mark.xdist_group("proof")
def test_nothing_that_is_not_durable_is_answered_2xx() -> None:
    assert disk_full.main(["--short"]) == 0
