"""What several parts of ``make bench`` say alike."""

from __future__ import annotations

from collections.abc import Sequence

Row = tuple[str, str, str]
"""What was measured, its budget or "", and the figure."""


def percentile(values: Sequence[float], share: int) -> float:
    """Return the value that so many of a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * share // 100) - 1))]


def in_ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def in_s(seconds: float) -> str:
    return f"{seconds:.2f} s"


def a_second(count: int, seconds: float) -> str:
    return f"{count / seconds:,.0f} a second"
