"""The short form of ``make bad-input``."""

from __future__ import annotations

import pytest

from tests.proof import bad_input


@pytest.mark.xdist_group("proof")
def test_whatever_is_sent_nothing_breaks_and_siblings_are_kept() -> None:
    assert bad_input.main(["--short"]) == 0
