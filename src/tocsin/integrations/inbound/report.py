"""A user's report: ``POST /api/v1/reports``.

    {"title": "Checkout hangs", "text": "since about two", "service": "api", "reporter": "Ana"}

Only ``title`` must be given. Every report is a signal of its own: two people who say the same are
two reports, and neither ends by itself.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec

from tocsin.core.inputs import Signal
from tocsin.integrations.signals import NotJson, Received, Rejected
from tocsin.integrations.tolerant import show, why_unreadable

SOURCE = "report"
TITLE_CHARS_MAX = 200
TEXT_CHARS_MAX = 10_000


class _Report(msgspec.Struct, forbid_unknown_fields=True):
    """One report as it is sent. The order of fields is the order in the fingerprint."""

    title: str
    text: str | None = None
    service: str | None = None
    reporter: str | None = None


_DECODER = msgspec.json.Decoder(_Report)


def read_report(body: bytes, at: datetime, key: str) -> Received:
    """Return the one signal of a report, or the one reason why it is none.

    ``at`` is when it arrived. Raises NotJson if the body is not JSON at all.
    """
    try:
        report = _DECODER.decode(body)
    except (msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        return _rejected(body, why_unreadable(error, body), key)
    except msgspec.DecodeError as error:
        raise NotJson(f"the body is no JSON object: {error}; it begins {show(body)}") from None
    why = _fault(report)
    if why:
        return _rejected(body, why, key)
    return Received((_signal(report, at, key),), (), SOURCE, key)


def _fault(report: _Report) -> str:
    if not report.title.strip():
        return "title is empty"
    if len(report.title) > TITLE_CHARS_MAX:
        return f"title has {len(report.title)} characters; {TITLE_CHARS_MAX} are the most"
    for name in ("text", "service", "reporter"):
        if len(getattr(report, name) or "") > TEXT_CHARS_MAX:
            return f"{name} has more than {TEXT_CHARS_MAX} characters"
    if any("\0" in (getattr(report, name) or "") for name in report.__struct_fields__):
        return "It holds the character U+0000, which is no text."
    return ""


def _signal(report: _Report, at: datetime, key: str) -> Signal:
    identity = msgspec.json.encode(report) + at.isoformat(timespec="microseconds").encode()
    annotations = {
        "summary": report.title.strip(),
        "description": (report.text or "").strip(),
        "reporter": (report.reporter or "").strip(),
    }
    labels = {"alertname": "UserReport", "service": (report.service or "").strip()}
    return Signal(
        fingerprint=hashlib.sha256(identity).hexdigest()[:16],
        source=SOURCE,
        title=report.title.strip(),
        starts_at=at,
        labels={name: value for name, value in labels.items() if value},
        annotations={name: value for name, value in annotations.items() if value},
        key=key,
    )


def _rejected(body: bytes, why: str, key: str) -> Received:
    return Received((), (Rejected(body, why),), SOURCE, key)
