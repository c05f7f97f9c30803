"""The words of an escalation: times, clocks, roles, events, and whom a sentence names.

Nothing here knows of documents or lines; every function reads one piece of running text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from tocsin.base.durations import find_duration, say_duration
from tocsin.core.policy import Clock, Condition

IMMEDIATE = re.compile(
    r"\bimmediate(?:ly)?\b|\bat once\b|\b(?:right|straight) ?away\b|\binstantly\b|\bwithout delay\b",
    re.IGNORECASE,
)
UNACKNOWLEDGED = re.compile(
    r"\b(?:no|not|without|un|nobody|isn't|hasn't|doesn't|never)[\s-]*(?:(?:been|has|get|yet|an?|does)\s+)?"
    r"(?:ack\w*|respon\w+|answer\w*|repl\w+|pick\w* up)|\bunack\w*",
    re.IGNORECASE,
)
UNRESOLVED = re.compile(
    r"\b(?:not|un|isn't|still not|no|never|without)[\s-]*(?:(?:been|yet|a|any|has)\s+)?"
    r"(?:resol\w+|fix\w*|mitigat\w+|contain\w+|progress\w*|clos\w+|over\b|done\b|solv\w+)"
    r"|\bpersist\w*|\bstill (?:open|ongoing|going|there|unfixed|broken|burning)\b|\bunresolved\b"
    r"|\b(?:open|lasting|going on) (?:for|longer|more)\b|\blast(?:s|ing)? (?:longer|more)\b",
    re.IGNORECASE,
)
BREACH = re.compile(
    r"(?:critical\s+|suspected\s+|confirmed\s+)?(?:security|data)\s+(?:breach|incident|compromise)\w*"
    r"|\bbreach(?:es|ed)?\b|\bbreak-ins?\b|\bintru(?:der|sion)s?\b|compromised",
    re.IGNORECASE,
)
DATA_LOSS = re.compile(r"data (?:loss|corruption)|lost data|loss of data", re.IGNORECASE)
METRIC = re.compile(
    r"%|[<>]|\b(?:rate|latency|cpu|memory|throughput|slo|sli|p9\d|threshold|queue)\b", re.IGNORECASE
)
FIRST = re.compile(
    r"\binitial\b|\bfirst\b|\bprimary\b|\btriage|every incident|all incidents|any incident",
    re.IGNORECASE,
)
ROLE_WORD = re.compile(
    r"engineer|\bleads?\b|leader|manager|director|officer|\bc[teis]o\b|\bvp\b|\bhead\b|on[- ]?call"
    r"|primary|secondary|backup|commander|\bteams?\b|support|\bsre\b|\bdbas?\b|legal|security"
    r"|vendor|owner|coordinator|chief|admin|\bops\b|devops|executive|founder|responder|^@|\bl\d\b"
    r"|\btier \d|architect|president|developer|duty|shift|leadership",
    re.IGNORECASE,
)
BLANK = re.compile(
    r"^\W*(?:tbd|tba|todo|n/?a|xxx+|name|contact info)?\W*$|^\[.*\]$|^<.*>$", re.IGNORECASE
)
TARGET = re.compile(
    r"(?<![\w-])(?:escalat\w+|page|notify|call|contact|inform|alert|involve|wake|loop in|bring in|engage|reach)"
    r"s?\s+(?:it\s+|this\s+)?(?:up\s+)?(?:to\s+)?(?:the\s+|your\s+|an?\s+|our\s+)?"
    r"(?!if\b|immediately|after\b|when\b|within\b|at\b|in\b|as\b|and\b|by\b|unless\b|once\b|to\b|up\b"
    r"|for\b|every|straight|right|now\b)"
    r"(?P<who>[@#A-Za-z][\w@#/&+' ,.-]*?)"
    r"(?=\s*(?:$|[;:.(]|,?\s(?:if|after|when|within|immediately|for|unless|once|at once|in \d|as soon"
    r"|by phone|via|straight|right away)\b))",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"^(?P<who>[\w@#/&+' -]{2,50}?)\s+(?:\(.*?\)\s*)?(?:is\s+|are\s+|gets?\s+)?"
    r"(?:acknowledges?|responds?|paged|alerted|notified|called|engaged|joins?|takes over)\b",
    re.IGNORECASE,
)
_ARROW_TARGET = re.compile(r"(?:\u2192|->|=>)\s*(?P<who>[^\u2192]+?)\s*$")
ARROWS = re.compile(r"\s*(?:\u2192|->|=>|\u2193)\s*")
_SPLIT_ROLES = re.compile(r"\s*(?:,|\+|&|\band\b|/(?=\s*[A-Z@]))\s*")
_RANGE_LOW = re.compile(r"(\d+)\s*(?:-|\u2013|to)\s*\d+\s*(?=[a-z])", re.IGNORECASE)
ABOUT_PATH = re.compile(r"path|ladder|chain|contact|order|rung|tree|matrix|who\b", re.IGNORECASE)


def delay_of(words: str) -> int | None:
    """Return the seconds that some words name, the sooner end of a range; 0 for "immediately"."""
    found = find_duration(_RANGE_LOW.sub(r"\1 ", words))
    if found is not None:
        return round(found[0].total_seconds())
    return 0 if IMMEDIATE.search(words) else None


def clock_of(words: str, after_s: int) -> Clock:
    """Return which clock some words with that delay, in seconds, start."""
    if after_s == 0:
        return Clock.IMMEDIATE
    if UNACKNOWLEDGED.search(words) and not UNRESOLVED.search(words):
        return Clock.UNACKNOWLEDGED
    return Clock.UNRESOLVED


def condition_of(words: str) -> Condition | None:
    """Return the event that some words wait for, or None."""
    if BREACH.search(words):
        return Condition.SECURITY_BREACH
    if DATA_LOSS.search(words):
        return Condition.DATA_LOSS
    return None


def targets_in(words: str) -> tuple[str, ...]:
    """Return whom a sentence reaches, in its own words; nobody when it names nobody."""
    found = _ARROW_TARGET.search(words) or TARGET.search(words)
    if found is None:
        found = _SUBJECT.search(words)
        if found is None or not ROLE_WORD.search(found["who"]):
            return ()
    return roles_in(found["who"])


def roles_in(words: str) -> tuple[str, ...]:
    """Return the roles that a list of roles names, without articles."""
    pieces = (re.sub(r"^(?:the|an?|your|our)\s+", "", p.strip()) for p in _SPLIT_ROLES.split(words))
    return tuple(piece.strip(" .") for piece in pieces if piece.strip(" ."))


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence lists them: "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def short(words: str) -> str:
    """Return a quotation no longer than a finding can bear."""
    return words if len(words) <= 60 else words[:57].rstrip() + "\u2026"


def say(seconds: int) -> str:
    """Return a delay in seconds as a sentence says it."""
    return say_duration(timedelta(seconds=seconds))
