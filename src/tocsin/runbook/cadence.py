"""How often people are told: the rhythm of updates, in words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tocsin.base.durations import find_duration

EVERY = re.compile(
    r"\b(?:every|each)\s+(?=\d|an?\b|half|hour|day|minute|[a-z]+[ -](?:min|hour|day))",
    re.IGNORECASE,
)
_RATE = re.compile(
    r"(?:(?P<times>once|twice)\s+)?(?:\bper|\ban?|/)\s*(?P<unit>hour|day)\b", re.IGNORECASE
)
_AT_INTERVALS = re.compile(
    r"(?:\bin|\bat|\bwith)\s+(?P<what>[\w -]{2,20}?)[ -](?:intervals?|cadence|rhythm|increments)\b"
    r"|\b(?:interval|cadence|frequency|rhythm)(?:\s+(?:of|is))?\s*:?\s*(?P<after>\d[\w -]{1,15})",
    re.IGNORECASE,
)
_HOURLY = re.compile(r"\bhourly\b", re.IGNORECASE)
_HALF_HOURLY = re.compile(r"\bhalf[- ]hourly\b", re.IGNORECASE)
_DAILY = re.compile(r"\b(?:daily|every morning|every evening)\b", re.IGNORECASE)
_ONCE = re.compile(
    r"\b(?:on|at|upon|after)[ -](?:close|closing|resol\w+|start|the start|the end|completion|detection)\b"
    r"|\bwhen (?:closed|resolved|it ends|done)\b|\bas needed\b|\bend of day\b",
    re.IGNORECASE,
)
_PAUSE = re.compile(
    r"\s*[;,]\s+(?:and\s+)?|\s+and\s+(?=(?:every|hourly|daily|on|at|once)\b)", re.IGNORECASE
)
_SENTENCES = re.compile(r"(?<=[.;])\s+")
_REVIEW = re.compile(
    r"\b(?:review|audit|rehears\w*|train\w*|drill\w*|backup|rotat\w*|test(?:s|ed|ing)?)\b", re.I
)


def cadence_of(words: str) -> int | None:
    """Return the seconds between two updates that these words ask for, or None."""
    if every := EVERY.search(words):
        following = words[every.end() :]
        # "every hour" names no number; it is one.
        found = find_duration(following)
        if found is None or found[1] > 0:
            found = find_duration(f"1 {following}")
        return round(found[0].total_seconds()) if found and found[1] == 0 else None
    if _HALF_HOURLY.search(words):
        return 1800
    if _HOURLY.search(words):
        return 3600
    if (rate := _rate_of(words)) is not None:
        return rate
    if said := _AT_INTERVALS.search(words):
        spoken = find_duration((said["what"] or said["after"]).replace("-", " "))
        if spoken is not None:
            return round(spoken[0].total_seconds())
    return 86_400 if _DAILY.search(words) else None


def _rate_of(words: str) -> int | None:
    rate = _RATE.search(words)
    # "an hour" alone is a length of time; "once an hour" and "per hour" are rhythms.
    if rate is None or (not rate["times"] and rate[0][0] in "aA"):
        return None
    per_s = 3600 if rate["unit"].casefold() == "hour" else 86_400
    return per_s // 2 if (rate["times"] or "").casefold() == "twice" else per_s


def bare_cadence(cell: str) -> int | None:
    """Return the rhythm of a cell under "Update frequency", where "30 min" says it all."""
    found = find_duration(cell)
    return cadence_of(cell) or (round(found[0].total_seconds()) if found else None)


def has_rhythm(words: str) -> bool:
    """Say whether these words tell how often, or at which moment, people are told."""
    return cadence_of(words) is not None or _ONCE.search(words) is not None


def is_review(words: str) -> bool:
    """Say whether a rhythm is that of reviews, drills or backups, not of telling people."""
    return _REVIEW.search(words) is not None


def rhythms_in(words: str) -> Sequence[str]:
    """Return the clauses of "hourly during P1, on close for P2": one a rhythm, or the whole."""
    clauses = [clause for clause in _PAUSE.split(words) if clause.strip()]
    if len(clauses) > 1 and all(map(has_rhythm, clauses)):
        return clauses
    return (words,)
