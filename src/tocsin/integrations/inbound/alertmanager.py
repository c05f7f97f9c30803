"""Alerts as Prometheus, Grafana and amtool post them to an Alertmanager: ``POST /api/v2/alerts``.

    [{"labels": {"alertname": "ApiDown", "service": "api", "severity": "critical"},
      "annotations": {"summary": "No answer from the API"},
      "startsAt": "2026-03-01T02:11:00Z", "endsAt": "2026-03-01T02:15:00Z",
      "generatorURL": "http://prometheus:9090/graph?g0.expr=up"}]

Times, empty labels and refusals are those of Alertmanager 0.25; only, one bad alert is rejected by
itself, whatever is wrong with it. A firing alert says when it would end if it were not sent again.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta

import msgspec

from tocsin.core.inputs import Signal
from tocsin.integrations.signals import Received, Rejected
from tocsin.integrations.tolerant import holds_nul, split_members, why_unreadable

SOURCE = "prometheus"
RESOLVE_TIMEOUT = timedelta(minutes=5)
"""How long an alert without an end is believed after it was last sent."""

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TITLE_CHARS_MAX = 200
_APART_MAX = 100
"""Rejected members of one request that are put aside each by itself; what follows goes together."""
_UNSET_YEAR = 1  # Go's zero time, which amtool and Alertmanager send for "not set"


class _Alert(msgspec.Struct):
    """One member as it is sent. Go reads null as "not given", and so do we."""

    labels: dict[str, str | None] | None = None
    annotations: dict[str, str | None] | None = None
    starts_at: datetime | None = msgspec.field(name="startsAt", default=None)
    ends_at: datetime | None = msgspec.field(name="endsAt", default=None)
    generator_url: str | None = msgspec.field(name="generatorURL", default=None)


_DECODER = msgspec.json.Decoder(_Alert)


class Unfit(ValueError):  # noqa: N818 - it says what the alert is
    """One alert cannot be read, or means nothing: <why>, in a sentence."""


def read_alerts(body: bytes, at: datetime, key: str) -> Received:
    """Return the signals of one request and the members that hold none.

    ``at`` is when it arrived. Raises NotJson if the body is no JSON array.
    """
    signals: list[Signal] = []
    rejected: list[Rejected] = []
    for raw in split_members(body, "alerts"):
        try:
            signals.append(read_alert(raw, at, key))
        except Unfit as error:
            rejected.append(Rejected(raw, str(error)))
    return Received(tuple(signals), _gathered(rejected), SOURCE, key)


def _gathered(rejected: list[Rejected]) -> tuple[Rejected, ...]:
    """Return what was rejected in a bounded number of pieces, and every byte of it."""
    apart, rest = rejected[:_APART_MAX], rejected[_APART_MAX:]
    if len(rest) > 1:
        why = f"{len(rest):,} more members of the same request. The first of them: {rest[0].why}"
        rest = [Rejected(b",\n".join(each.raw for each in rest), why)]
    return (*apart, *rest)


def read_alert(raw: bytes, at: datetime, key: str) -> Signal:
    """Return the signal of one alert that came at ``at``; raises Unfit."""
    try:
        alert = _DECODER.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unfit(why_unreadable(error, raw)) from error
    signal = _signal(alert, at, key)
    if holds_nul(raw):
        _refuse_nul(signal)
    return signal


def times_of(
    starts_at: datetime | None, ends_at: datetime | None, at: datetime
) -> tuple[datetime, datetime]:
    """Return when an alert begins and ends, of what its sender said; raises Unfit."""
    begins, ends = _instant(starts_at, "startsAt"), _instant(ends_at, "endsAt")
    if begins is None:
        begins = at if ends is None else min(at, ends)
    ends = ends or at + RESOLVE_TIMEOUT
    if begins > ends:
        raise Unfit("start time must be before end time")
    return begins, ends


def fingerprint_of(labels: dict[str, str]) -> str:
    """Return 16 hexadecimal digits that are the same for the same labels, in whatever order.

    The first 64 bits of the SHA-256 of every name and value in UTF-8, sorted by name, each followed
    by the byte 0xFF, which UTF-8 never holds: two different sets cannot run together into one.
    Annotations and times do not count. It is not Alertmanager's own hash.
    """
    digest = hashlib.sha256()
    for name in sorted(labels):
        digest.update(name.encode() + b"\xff" + labels[name].encode() + b"\xff")
    return digest.hexdigest()[:16]


def _signal(alert: _Alert, at: datetime, key: str) -> Signal:
    labels = {name: value for name, value in (alert.labels or {}).items() if value}
    annotations = {name: value or "" for name, value in (alert.annotations or {}).items()}
    starts_at, ends_at = times_of(alert.starts_at, alert.ends_at, at)
    for name in labels:
        if not _LABEL_NAME.fullmatch(name):
            raise Unfit(f"invalid label set: invalid name {name[:80]!a}")
    if not labels:
        raise Unfit("at least one label pair required")
    for name in annotations:
        if not _LABEL_NAME.fullmatch(name):
            raise Unfit(f"invalid annotations: invalid name {name[:80]!a}")
    return Signal(
        fingerprint=fingerprint_of(labels),
        source=SOURCE,
        title=_title(labels, annotations),
        starts_at=starts_at,
        labels=labels,
        annotations=annotations,
        ends_at=ends_at,
        url=_web_address(alert.generator_url),
        key=key,
    )


def _instant(moment: datetime | None, name: str) -> datetime | None:
    if moment is None or moment.year == _UNSET_YEAR:
        return None
    if moment.tzinfo is None:
        raise Unfit(f"{name} has no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise Unfit(f"{name} is beyond the year 9999") from None


def _title(labels: dict[str, str], annotations: dict[str, str]) -> str:
    for title in (labels.get("alertname"), annotations.get("summary"), annotations.get("title")):
        if title and title.strip():
            return title.strip()[:_TITLE_CHARS_MAX]
    pairs = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
    return f"Alert {pairs}"[:_TITLE_CHARS_MAX]


def _web_address(url: str | None) -> str:
    """Return the address if a browser may be sent there, else nothing: it becomes a link."""
    return url if url and url.lower().startswith(("http://", "https://")) else ""


def _refuse_nul(signal: Signal) -> None:
    for text in (*signal.labels.values(), *signal.annotations.values(), signal.url):
        if "\0" in text:
            raise Unfit("It holds the character U+0000, which is no text.")
