"""The words of an escalation: times, clocks, roles, events, and whom a sentence names.

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

IMMEDIATE = re.compile(
    r"\bimmediate(?:ly)?\b|\bat once\b|\b(?:right|straight) ?away\b|\binstant(?:ly)?\b"
    r"|\bwithout (?:any )?(?:delay|waiting)\b|\bnow\b(?! and (?:then|again))|\bas soon as possible\b"
    r"|\ba\.?s\.?a\.?p\b|\b(?:from|at) the (?:start|beginning|outset)\b|\bstraight off\b",
    re.IGNORECASE,
)
_NEGATED = re.compile(
    r"\b(?:do not|don't|never|no need to|need not|must not|not to)\s+(?:be\s+)?"
    r"(?:escalat|page|notify|call|contact|wake|inform|alert)\w*",
    re.IGNORECASE,
)
UNACKNOWLEDGED = re.compile(
    r"\b(?:no|not|without|un|nobody|no one|isn't|hasn't|doesn't|never|unless|until)[\s-]*"
    r"(?:(?:been|has|have|get|yet|an?|does|is|it|it's|being)\s+){0,2}(?:ack\w*|respon\w+|answer\w*|repl\w+|pick\w* up)|\bunack\w*",
    re.IGNORECASE,
)
UNRESOLVED = re.compile(
    r"\b(?:not|un|isn't|still not|no|never|without|unless|until)[\s-]*"
    r"(?:(?:been|yet|a|any|has|is|it|it's|being)\s+){0,2}(?:resol\w+|fix\w*|mitigat\w+|contain\w+|progress\w*|clos\w+|over\b|done\b|solv\w+)"
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
    r"%|[<>](?!\s*\d+\s*-?(?:m|h|s|d)(?:in|our|r|ec|ay)?)|\b(?:rate|latency|cpu|memory|throughput|slo|sli|p9\d|threshold|queue)\b",
    re.IGNORECASE,
)
FIRST = re.compile(
    r"\binitial\b|\bfirst\b|\bprimary\b|\btriage|every incident|all incidents|any incident",
    re.IGNORECASE,
)
ROLE_WORD = re.compile(
    r"engineer|\bleads?\b|leader|manager|director|officer|\bc[a-z]o\b|\bciso\b|\bdeputy\b|\bdeputies\b|\bvp\b|\bhead\b|on[- ]?call"
    r"|primary|secondary|backup|commander|\bteams?\b|support|\bsre\b|\bdbas?\b|legal|security"
    r"|vendor|owner|coordinator|chief|admin|\bops\b|devops|executive|founder|responder|^@|\bl\d\b"
    r"|\btier \d|architect|president|developer|duty|shift|leadership|counsel|infosec|stand-?in|substitute|^#",
    re.IGNORECASE,
)
BLANK = re.compile(
    r"^\W*(?:tbd|tba|todo|n/?a|xxx+|name|contact info)?\W*$|^\[.*\]$|^<.*>$", re.IGNORECASE
)
VERB = re.compile(
    r"(?<![\w-])(?:escalat\w+|pages?|paged|notify|notifies|notified|calls?|contacts?|informs?|alerts?"
    r"|involves?|wakes?|loops? in|brings? in|engages?|reach(?:es)?)\b",
    re.IGNORECASE,
)
_ENDS_A_ROLE = (
    r"if|after|when|whenever|within|immediate(?:ly)?|for|unless|until|once|at once|in \d+|in an?"
    r"|in (?:half|two|three|five|ten|fifteen|twenty|thirty)|in case|as soon|by phone|via|straight"
    r"|right away|now|without|directly|asap|instantly|promptly|urgently|before|should|while|\d+"
    r"|is|are|has|have|must|will|who|which|at the (?:start|beginning)|from the start"
)
TARGET = re.compile(
    r"(?<![\w-])(?:escalat\w+|page|notify|call|contact|inform|alert|involve|wake|loop in|bring in|engage|reach)"
    r"s?\s+(?:(?:it|this|the|these|an?|all|any)\s+)?(?:incidents?\s+|issues?\s+|problems?\s+)?"
    r"(?:(?:immediately|directly|straight|right away|at once|now)\s+)?(?:up\s+)?(?:to\s+)?"
    r"(?:the\s+|your\s+|an?\s+|our\s+)?"
    r"(?!if\b|immediate|after\b|when|within\b|at\b|in\b|as\b|and\b|by\b|unless\b|until\b|once\b|to\b"
    r"|up\b|for\b|every\s|straight|right|now\b|without\b|directly\b|asap\b|instant|promptly\b|urgently\b"
    r"|or\b|should\b|before\b|during\b|only\b|on\b(?![- ]call)|is\b|are\b|from\b|then\b"
    r"|(?:the )?(?:next|following) (?:\w+ )?(?:day|morning|week|monday)|tomorrow|tonight|today|later\b|overnight)"
    r"(?P<who>[@#A-Za-z][\w@#/&+' ,.-]*?)"
    rf"(?=\s*(?:$|[;:.(](?!\w)|\(|,?\s(?:{_ENDS_A_ROLE})\b))",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"(?:^|[,;:]\s*|\bthen\s+)(?:the\s+)?(?P<who>[\w@#/&+' -]{2,50}?)\s+(?:\(.*?\)\s*)?"
    r"(?:(?:is|are|gets?|(?:must|should|will|shall|has to|have to)(?:\s+be)?)\s+)?"
    r"(?:acknowledges?|responds?|paged|alerted|notified|called|engaged|joins?|takes over|informed|woken)\b",
    re.IGNORECASE,
)
_ARROW_TARGET = re.compile(r"(?:\u2192|->|=>)\s*(?P<who>[^\u2192]+?)\s*$")
_BEFORE_TIME = re.compile(
    r"^\W*(?:(?:and|then|or|to|also)\s+)*(?:the\s+|your\s+|our\s+)?(?P<who>[@#A-Za-z][\w@#/&+', -]*?)"
    rf"\s*(?:[,:(\u2013\u2014]|\s-)?\s*(?:$|(?<=[\s(,:-])(?:{_ENDS_A_ROLE})\b)",
    re.IGNORECASE,
)
_AFTER_TIME = re.compile(
    r"(?:[,:(\u2013\u2014]|\s-\s|\bto\b|\bthen\b)\s*(?:to\s+)?(?:the\s+)?(?P<who>[@#A-Za-z][\w@#/&+' -]*?)\s*\W*$",
    re.IGNORECASE,
)
_NOBODY_NAMED = re.compile(
    r"^(?:.*\b(?:incidents?|issues?|outages?)|(?:p|sev-?|severity |priority |s)\d\S*|it|this|issues?|problems?|tickets?|cases?|outages?|everyone|everybody|anyone|somebody"
    r"|someone|all|them|further|again|up|higher|upwards?|(?:the )?next (?:level|tier|rung|step|person|in line)\w*"
    r"|(?:one|a) (?:level|rung|step)(?: up)?|(?:the )?(?:whole |entire |full )?(?:path|ladder|chain))$",
    re.IGNORECASE,
)
ARROWS = re.compile(r"\s*(?:\u2192|->|=>|\u2193)\s*")
_BETWEEN_ROLES = re.compile(
    r"\s*(?:,\s*(?:and|or)\b|,|;|\+|&|\band/or\b|\band\b|\bor\b|/(?=\s*[A-Z@]))\s*"
)
_RANGE_LOW = re.compile(r"(\d+)\s*(?:-|\u2013|to)\s*\d+\s*(?=[a-z])", re.IGNORECASE)
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
_CLAUSES = re.compile(r"\s*(?:;|,|\.(?=\s)|\bthen\b|\band\b|\bor\b)\s*", re.IGNORECASE)
ABOUT_PATH = re.compile(r"path|ladder|chain|contact|order|rung|tree|matrix|who\b", re.IGNORECASE)


def clear(words: str) -> str:
    """Return words with their times in digits, of a range only the sooner end."""
    words = _QUARTER.sub(lambda m: "45 minutes" if m[1] else "15 minutes", words)
    words = _HALF_OF.sub("30 minutes", words)
    words = _SPOKEN.sub(
        lambda m: str(_TENS[m[1].lower()] + _ONES.get((m[2] or "").lower(), 0)), words
    )
    words = _AND_A_HALF.sub(_with_half, words)
    words = _BETWEEN.sub(r"\1 ", words)
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
        cut = next((c for c in cuts if this.end <= c.start() < following.start), None)
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
        return found.end() == len(rest) and _may_be_somebody(found[0], found["who"])
    if VERB.fullmatch(rest):
        return True
    return bool(rest) and all(_is_role(piece) for piece in roles_in(rest))


def _is_role(words: str) -> bool:
    return (
        len(words.split()) <= 4
        and ROLE_WORD.search(words) is not None
        and VERB.search(words) is None
        and not re.search(
            r"\b(?:if|when|unless|after|until|not|no|next|during|by)\b", words, re.IGNORECASE
        )
    )


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
    if found is not None:
        who = found["who"]
        # "Escalate P1 to the team lead": the level stands between.
        who = re.split(r"\bto\s+(?:the\s+)?", who)[-1] if re.search(r"\d.*\bto\s", who) else who
        return roles_in(who) if _may_be_somebody(found[0], who) else ()
    for subject in _SUBJECT.finditer(words):
        if ROLE_WORD.search(subject["who"]) and not re.match(
            r"(?:if|when)\b", subject["who"], re.I
        ):
            return roles_in(re.sub(r"^\d+\s*\w+\s+(?=\w)", "", subject["who"]))
    for pattern in (_BEFORE_TIME, _AFTER_TIME):
        found = pattern.search(words)
        if found is not None and all(_is_role(role) for role in roles_in(found["who"])):
            return roles_in(found["who"])
    return ()


def _may_be_somebody(order: str, who: str) -> bool:
    """Say whether "escalate who" means a person: without a "to" it takes a role or a name."""
    if not order.casefold().startswith("escalat") or re.search(r"\bto\s", order):
        return True
    return ROLE_WORD.search(who) is not None or not who[:1].islower()


def roles_in(words: str) -> tuple[str, ...]:
    """Return the roles that a list of roles names, without articles.

    "CTO and Legal" are two, "Trust and Safety Team" is one.
    """
    pieces: list[str] = []
    start = 0
    for cut in _BETWEEN_ROLES.finditer(words):
        before, after = words[start : cut.start()].strip(), words[cut.end() :].strip()
        if cut[0].strip() in ("and", "&") and _belong_together(before, after):
            continue
        pieces.append(before)
        start = cut.end()
    pieces.append(words[start:])
    cleaned = (_bare(piece) for piece in pieces)
    return tuple(piece for piece in cleaned if piece and not _NOBODY_NAMED.match(piece))


def _bare(role: str) -> str:
    role = re.sub(r"^(?:both\s+)?(?:the|an?|your|our|either|also)\s+", "", role.strip(), flags=re.I)
    role = re.sub(r"'s (?:phone|mobile|cell|number|pager|line)$", "", role, flags=re.IGNORECASE)
    return role.strip(" .")


def _belong_together(before: str, after: str) -> bool:
    """Say whether an "and" joins two words of one role: "Head of Trust and Safety"."""
    following = _BETWEEN_ROLES.split(after)[0]
    if re.search(r"\bof\b", before) and not ROLE_WORD.search(following):
        return True
    return not ROLE_WORD.search(before) and len(following.split()) > 1


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
