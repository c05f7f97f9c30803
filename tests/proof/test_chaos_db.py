from __future__ import annotations

import pytest

from tests.proof import chaos_db


@pytest.mark.xdist_group("proof")
def test_nothing_is_lost_while_the_database_comes_and_goes() -> None:
    assert chaos_db.main(["--short"]) == 0
