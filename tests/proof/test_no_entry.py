from __future__ import annotations

import pytest

from tests.proof import no_entry


@pytest.mark.xdist_group("proof")
def test_nobody_comes_in_who_may_not() -> None:
    assert no_entry.main(["--short"]) == 0
