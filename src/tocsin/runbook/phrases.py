"""The words of an escalation: times, clocks, measurements, events.

Nothing here knows of documents or lines; every function reads one piece of running text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import NamedTuple

from tocsin.base.durations import find_duration, say_duration
from tocsin.core.policy import Clock, Condition
from tocsin.runbook.roles import TARGET, VERB, is_role, may_be_somebody, roles_in

IMMEDIATE = re.compile(
    r"\bimmediate(?:ly)?\b|\bat once\b|\b(?:right|straight) ?away\b|\binstant(?:ly)?\b"
    r"|\bwithout (?:any )?(?:delay|waiting)\b|\bnow\b(?! and (?:then|again))|\bas soon as possible\b"
    r"|\ba\.?s\.?a\.?p\b|\b(?:from|at) the (?:start|beginning|outset)\b|\bstraight off\b",
    re.IGNORECASE,
)
_NEGATED = re.compile(
    r"\b(?:do not|don't|never|no need to|need not|must not|not to|should not|shouldn't|is not|are not)"
    r"\s+(?:be\s+)?(?:escalat|pag(?:e|ing)|notif|call|contact|wake|inform|alert)\w*"
    r"|\b(?:page|notify|call|contact|wake|inform|alert)\s+(?:nobody|no one|none)\b"
    r"|\bno (?:escalation|pages?|paging|calls?)\b|\bescalation is not\b",
    re.IGNORECASE,
)
_TOLD = re.compile(
    r"^\W*(?:for example|for instance|e\.\s?g\.?|examples?\b|note that|remember)"
    r"|\b(?:last|previous) (?:year|month|week|time|quarter|incident|outage)\b|\byesterday\b"
    r"|\bin (?:january|february|march|april|may|june|july|august|september|october|november"
    r"|december|20\d\d)\b|^\W*(?:\d{4}-\d\d-\d\d|\d{1,2}:\d\d)\b"
    r"|\bwe (?:had )?(?:escalated|paged|called|notified|alerted|contacted|woke)\b"
    r"|\bwhich was\b|\b(?:too|very) (?:late|early|slow)\b"
    r"|\brehears\w+|\bdrills?\b|\bshadow(?:s|ing)?\b|\bgame ?days?\b|\btable-?tops?\b|\btraining\b"
    r"|\bthis (?:page|document|runbook|policy|section)\b"
    r"|\b(?:better|worse) than\b|\?\W*$",
    re.IGNORECASE,
)
_WAS_DONE = re.compile(
    r"\b(?:was|were|had been) (?:then |later |finally )?(?:escalated|paged|called|notified|alerted|contacted)\b",
    re.IGNORECASE,
)
_WAITS = re.compile(r"\b(?:if|when|once|until|unless|after)\b[^,]*$", re.IGNORECASE)
UNACKNOWLEDGED = re.compile(
    r"\b(?:no|not|without|un|nobody|no one|isn't|hasn't|haven't|doesn't|don't|didn't|never|unless|until)[\s-]*"
    r"(?:(?:been|has|have|get|yet|an?|does|did|is|it|it's|being)\s+){0,2}(?:ack\w*|respon\w+|answer\w*|repl\w+|pick\w* up)|\bunack\w*"
    r"|\bfails? to (?:ack\w*|respond|answer|reply|pick up)|\bun(?:answered|responsive|reachable|available)\b"
    r"|\b(?:not|cannot|can't|isn't) (?:be )?(?:reach\w*|available)\b",
    re.IGNORECASE,
)
UNRESOLVED = re.compile(
    r"\b(?:not|un|isn't|hasn't|haven't|aren't|cannot|can't|still not|no|never|without|unless|until|unable to)[\s-]*"
    r"(?:(?:been|be|yet|a|any|has|is|it|it's|being|clear)\s+){0,2}(?:resol\w+|fix\w*|mitigat\w+|contain\w+|progress\w*|clos\w+|over\b|done\b|solv\w+|improve\w*|recover\w*|restor\w+|stabili[sz]\w+|under control)"
    r"|\bpersist\w*|\bstill (?:open|ongoing|going|there|unfixed|broken|burning)\b|\bunresolved\b"
    r"|\bremains? (?:open|unresolved|ongoing|down)\b|\bstill (?:down|failing|active|unstable)\b|\bongoing (?:for|after)\b"
    r"|\b(?:open|lasting|going on|down) (?:for|longer|more|over|beyond)\b"
    r"|\bexceed(?:s|ing|ed)?\s+(?:an?\b|\d)"
    r"|\blast(?:s|ing)? (?:(?:longer|more|over|beyond|for)\b|>|\d)|\bcontinues? (?:for|beyond|past|after)\b",
    re.IGNORECASE,
)
BREACH = re.compile(
    r"(?:critical\s+|suspected\s+|confirmed\s+)?(?:security|data)\s+(?:breach|incident|compromise)\w*"
    r"|\bbreach(?:es|ed)?\b|\bbreak-ins?\b|\bintru(?:der|sion)s?\b"
    r"|\b(?:account|credential|key|system|host|server|token|secret|password|database|data|security)s?\b"
    r"(?:\W+\w+){0,2}?\W+compromised|\bcompromised\s+(?:account|credential|key|system|host|server|token|secret)",
    re.IGNORECASE,
)
DATA_LOSS = re.compile(r"data (?:loss|corruption)|lost data|loss of data", re.IGNORECASE)
METRIC = re.compile(
    r"%|[<>](?!\s*\d+\s*-?(?:m|h|s|d)(?:in|our|r|ec|ay)?)|\b(?:rate|latency|cpu|memory|throughput|slo|sli|p9\d|threshold|queue)\b",
    re.IGNORECASE,
)
PROMISED = re.compile(
    r"\brespon(?:d|ds|se)\b|\bresol(?:ve|ves|ved|ution)\b|\bsla\b|\bslo\b|\btargets?\b|\bgoals?\b|\bmtt[ar]\b"
    r"|\bfix(?:ed)? (?:within|in|by)\b|\bmitigated? (?:within|in|by)\b|\bworkaround\b|\bupdates?\b",
    re.IGNORECASE,
)
FIRST = re.compile(
    r"\binitial\b|\bfirst\b|\bprimary\b|\btriage|every incident|all incidents|any incident",
    re.IGNORECASE,
)
ARROWS = re.compile(r"\s*(?:\u2192|->|=>|\u2193)\s*")
_AND_MORE = re.compile(r"(\d+)\s*\+\s*(?=(?:m|h|d|s)[a-z]*\b)", re.IGNORECASE)
_START = re.compile(
    r"\b(?:time|minute|T)\s*[=:+]?\s*0\b(?!\s*\w)|\bT0\b|^\W*0(?=\s*(?::|\u2013|-\s|$))",
    re.IGNORECASE,
)
_FROM_START = re.compile(
    r"\bT\s*\+\s*0\b(?!\s*(?:m|h|d|s)[a-z]*\b)|\bT\s*\+\s*(\d+)(?!\w|\s*(?:m|h|d|s)[a-z]*\b)",
    re.IGNORECASE,
)
_RANGE_LOW = re.compile(
    r"(?<![\w-])(?<!sev )(?<!severity )(?<!priority )(?<!level )(?<!tier )(?<!step )"
    r"(\d+)\s*(?:-|\u2013|to)\s*\d+\s*(?=[a-z])",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\bbetween\s+(\d+)\s+and\s+\d+\s*(?=[a-z])", re.IGNORECASE)
_QUARTER = re.compile(r"\b(three\s+)?(?:an?\s+)?quarters?\s+(?:of\s+)?an?\s+hour\b", re.IGNORECASE)
_HALF_OF = re.compile(r"\bhalf of an hour\b", re.IGNORECASE)
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "ninety": 90}
_ONES = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
}  # fmt: skip
_SPOKEN = re.compile(rf"\b({'|'.join(_TENS)})(?:[- ]({'|'.join(_ONES)}))?\b", re.IGNORECASE)
_AND_A_HALF = re.compile(
    r"\b(?P<n>\d+|an?|one|two|three|four)\s+(?:(?P<u1>hours?)\s+)?and\s+a\s+half(?:\s+(?:hours?))?\b",
    re.IGNORECASE,
)
_RHYTHM = re.compile(r"\b(?:every|each)\s+", re.IGNORECASE)
_LEADS = re.compile(
    r"^\s*(?:(?:and|then|after|within|in|at|another|a further|further)\s+)+$", re.IGNORECASE
)
_CLAUSES = re.compile(r"\s*(?:;|,|\.(?=\s)|\bthen\b|\band\b|\bor\b)\s*", re.IGNORECASE)
_SOME_DAY = re.compile(
    r"\bnext (?:\w+ )?(?:day|morning|week|sprint|stand-?up|release|month|meeting)\b|\b(?:business|office|working) hours\b"
    r"|\b(?:as|if|when|where) (?:needed|required|necessary|appropriate|applicable)\b|\bbest effort\b|\bbacklog\b",
    re.IGNORECASE,
)
ABOUT_PATH = re.compile(r"path|ladder|chain|contact|order|rung|tree|matrix|who\b", re.IGNORECASE)


_RULE_CHARS_MAX = 1_000
"""What is longer is no rule that anybody wrote: of it, only the beginning is read for times."""


def clear(words: str) -> str:
    """Return words with their times in digits, of a range only the sooner end."""
    words = _START.sub("0 minutes", words[:_RULE_CHARS_MAX])
    words = _QUARTER.sub(lambda m: "45 minutes" if m[1] else "15 minutes", words)
    words = _HALF_OF.sub("30 minutes", words)
    words = _SPOKEN.sub(
        lambda m: str(_TENS[m[1].lower()] + _ONES.get((m[2] or "").lower(), 0)), words
    )
    words = _AND_A_HALF.sub(_with_half, words)
    words = _BETWEEN.sub(r"\1 ", words)
    words = _AND_MORE.sub(r"\1 ", _FROM_START.sub(r"after \1 minutes", words))
    return _RANGE_LOW.sub(r"\1 ", words)


def _with_half(found: re.Match[str]) -> str:
    said = found["n"].lower()
    hours = 1 if said in ("a", "an") else _ONES.get(said) or int(said)
    return f"{hours * 60 + 30} minutes"


class Moment(NamedTuple):
    """A time that some words name, in seconds; 0 for "immediately"."""

    start: int
    end: int
    after_s: int


def moments_of(words: str) -> list[Moment]:
    """Return every time that is no rhythm ("every 30 minutes"), in the order of the words."""
    words = words[:_RULE_CHARS_MAX]
    found: list[Moment] = []
    at = 0
    while (duration := find_duration(words[at:])) is not None:
        start, end = at + duration[1], at + duration[2]
        rhythm = [m.end() for m in _RHYTHM.finditer(words, 0, start)]
        if start not in rhythm:
            found.append(Moment(start, end, round(duration[0].total_seconds())))
        at = end
    if not _NEGATED.search(words):
        found.extend(Moment(m.start(), m.end(), 0) for m in IMMEDIATE.finditer(words))
    return sorted(found)


def delay_of(words: str) -> int | None:
    """Return the seconds that some words name, the soonest of several; 0 for "immediately".

    Beside a duration "immediately" does not count: "immediately if nobody answers in 5 min".
    """
    moments = moments_of(clear(words))
    lasting = [moment.after_s for moment in moments if moment.after_s]
    if lasting:
        return min(lasting)
    return 0 if moments else None


def clauses_of(words: str) -> list[str]:
    """Cut a sentence so that each piece holds one time, if it holds several.

    "Page the lead after 30 min, then the CTO after 2 hours" is two pieces; "immediately if nobody
    answers in 5 min" is one.
    """
    moments = moments_of(words)
    if len(moments) < 2:
        return [words]
    cuts = [
        cut
        for cut in _CLAUSES.finditer(words)
        if not any(m.start < cut.start() < m.end for m in moments)
    ]
    clauses: list[str] = []
    start = 0
    for this, following in pairwise(moments):
        between = [c for c in cuts if this.end <= c.start() < following.start]
        # "…, page A, and after 20 min B": the clause begins where its own time does.
        leading = (c for c in between if _LEADS.match(words[c.end() : following.start]))
        cut = next(leading, next(iter(between), None))
        if cut is None:
            continue
        if this.after_s == 0 and _is_bare_condition(words[cut.end() :], cut[0]):
            continue
        clauses.append(words[start : cut.start()])
        start = cut.end()
    return [*clauses, words[start:]]


def _is_bare_condition(following: str, cut: str) -> bool:
    """Say whether ", if nobody answers in 5 min" belongs to the "immediately" before it."""
    return (
        cut.strip() == ","
        and re.match(r"(?:if|unless|when)\b", following, re.IGNORECASE) is not None
        and TARGET.search(following) is None
    )


def is_some_day(words: str) -> bool:
    """Say whether words put off what no clock can time: "next business day", "as needed"."""
    return _SOME_DAY.search(words) is not None and delay_of(words) is None


def is_refused(words: str) -> bool:
    """Say whether words say that somebody must not be reached."""
    return _NEGATED.search(words) is not None


def is_told(words: str) -> bool:
    """Say whether words tell what happened, might happen or is asked, and so rule nothing."""
    if _TOLD.search(words):
        return True
    done = _WAS_DONE.search(words)
    return done is not None and _WAITS.search(words[: done.start()]) is None


def is_measured(words: str) -> bool:
    """Say whether words wait for a measurement: "error rate above 5% for 10 minutes".

    What persists, or is not answered, is timed all the same.
    """
    found = METRIC.search(words)
    if found is None or has_clock(words):
        return False
    before = words[: found.start()]
    return (
        TARGET.search(before) is None
        or re.search(r"\b(?:if|when|whenever|where|while)\b", before, re.I) is not None
    )


def is_promise(words: str) -> bool:
    """Say whether words promise a time of work and reach nobody: "respond within 30 minutes"."""
    return (
        PROMISED.search(words) is not None and not has_clock(words) and VERB.search(words) is None
    )


def has_clock(words: str) -> bool:
    """Say whether words wait for an answer or an end, whether or not they say how long."""
    return bool(UNACKNOWLEDGED.search(words) or UNRESOLVED.search(words))


def is_plain_order(words: str) -> bool:
    """Say whether words only say to escalate, and to whom: no condition, no negation."""
    if _NEGATED.search(words):
        return False
    rest = words.strip(" .!:")
    found = TARGET.search(rest)
    if found is not None and found.start() == 0:
        return found.end() == len(rest) and may_be_somebody(found[0], found["who"])
    if VERB.fullmatch(rest):
        return True
    return bool(rest) and all(is_role(piece) for piece in roles_in(rest))


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
