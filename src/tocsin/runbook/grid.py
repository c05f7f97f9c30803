"""What the columns of a table about communication are about, by the words of its header."""

from __future__ import annotations

import re
from collections.abc import Sequence

_FILTER_COLUMN = re.compile(r"severity|priority|when|incident|level|condition", re.IGNORECASE)
_CHANNEL_COLUMN = re.compile(
    r"channel|medium|method|\bvia\b|tool|where|platform|how\b", re.IGNORECASE
)
_RHYTHM_COLUMN = re.compile(
    r"update|frequen|cadence|interval|how often|rhythm|refresh", re.IGNORECASE
)
_AUDIENCE_COLUMN = re.compile(r"audience|who\b|stakeholder|recipient|notif|\bto\b", re.IGNORECASE)


class Grid:
    """A header, read: which columns filter, name channels, audiences, or how often."""

    def __init__(self, header: Sequence[str]) -> None:
        self.header = header
        self.filters = [i for i, h in enumerate(header) if _FILTER_COLUMN.search(h)]
        self.rhythm = [i for i, h in enumerate(header) if _RHYTHM_COLUMN.search(h)]
        self.audience = [
            i for i, h in enumerate(header) if _AUDIENCE_COLUMN.search(h) and i not in self.filters
        ]
        self.channels = [
            i for i, h in enumerate(header) if _CHANNEL_COLUMN.search(h) and i not in self.filters
        ]
        # "| Severity | Channel | ... |": the rows are about levels, not about channels.
        self.by_level = bool(self.filters) and self.filters[0] == 0

    @staticmethod
    def text(cells: Sequence[str], columns: Sequence[int]) -> str:
        """Return what stands in these columns."""
        return " ".join(cells[i] for i in columns if i < len(cells) and cells[i])
