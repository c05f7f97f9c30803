"""Links between documents: where they lead, and which lead nowhere."""

from __future__ import annotations

import re
import unicodedata

_MARKUP = re.compile(r"[^\w\- ]", re.UNICODE)


def anchor_of(heading: str) -> str:
    """Return the anchor of a heading's plain text, as GitHub and GitLab make it."""
    text = unicodedata.normalize("NFC", heading).strip().lower()
    return _MARKUP.sub("", text).replace(" ", "-")
