from __future__ import annotations

import pytest

from tests.proof import crash


@pytest.mark.xdist_group("proof")
def test_nothing_is_lost_in_twenty_kills() -> None:
    assert crash.main(["--short"]) == 0
