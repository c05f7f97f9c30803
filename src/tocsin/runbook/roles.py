"""Whom the words of an escalation name: roles, handles, channels, addresses.

Nothing here knows of documents or lines; every function reads one piece of running text.
"""

from __future__ import annotations

import re

ROLE_WORD = re.compile(
    r"engineer|\bleads?\b|leader|manager|director|officer|\bc[a-z]o\b|\bciso\b|\bdeputy\b|\bdeputies\b|\bvp\b|\bhead\b|on[- ]?call"
    r"|primary|secondary|backup|commander|\bteams?\b|support|\bsre\b|\bdbas?\b|legal|security"
    r"|vendor|\b(?:service|help) ?desk\b|owner|coordinator|chief|admin|\bops\b|devops|executive|founder|responder|^@|\bl\d\b"
    r"|\btier \d|architect|president|developer|duty|shift|leadership|counsel|infosec|stand-?in|substitute|^#",
    re.IGNORECASE,
)
_AUDIENCE = re.compile(
    r"\b(?:customers?|clients?|users?|public|tenants?|subscribers?|visitors?|press|everyone affected)\b"
    r"(?! (?:support|success|care|service|experience|operations|relations))",
    re.IGNORECASE,
)
_ACT = re.compile(
    r"^\W*(?:check|create|consider|collect|review|verify|restart|take|make|restore|open|update|run|do"
    r"|follow|see|use|post|join|assign|declare|monitor|document|start|stop|scale|gather|prepare|request"
    r"|ask|let|keep|read|find|identify|investigate|log|record|switch|enable|disable|roll|revert|confirm"
    r"|ensure|initiate|activate|begin|schedule|send|determine|assess|try|wait|hold|set|get|go|continue"
    r"|begins?|attempt|perform|provide|deploy|fail|remove|add)\b",
    re.IGNORECASE,
)
_WORDS_CHARS_MAX = 1_000
BLANK = re.compile(
    r"^\W*(?:tbd|tba|todo|n/?a|xxx+|name|contact info)?\W*$|^\[.*\]$|^<.*>$", re.IGNORECASE
)
VERB = re.compile(
    r"(?<![\w-])(?:escalat\w+|pages?|paged|notify|notifies|notified|calls?|contacts?|informs?|alerts?"
    r"|involves?|wakes?|loops? in|brings? in|engages?|reach(?:es)?"
    r"|called|contacted|informed|alerted|involved|woken|engaged)\b",
    re.IGNORECASE,
)
_ENDS_A_ROLE = (
    r"if|after|when|whenever|within|immediate(?:ly)?|for|unless|until|once|at once|in \d+|in an?"
    r"|in (?:half|two|three|five|ten|fifteen|twenty|thirty)|in case|as soon|by phone|via|straight"
    r"|right away|now|without|directly|asap|instantly|promptly|urgently|before|should|while|\d+"
    r"|is|are|has|have|must|will|who|which|happens|occurs|takes place|automatically|at the (?:start|beginning)|from the start"
)
TARGET = re.compile(
    r"(?<![\w-])(?<!the )(?<!an )(?<!a )(?<!each )(?<!every )(?<!this )"
    r"(?:escalat\w+|page|notify|notifie|call|contact|inform|alert|involve|wake|loop in|bring in|engage|reach"
    r"|(?:sent|goes|go|passed|routed|transferred|handed) to)"
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
    r"(?:acknowledges?|responds?|paged|alerted|notified|called|engaged|joins?|takes over|informed|woken|assigned|activated|mobili[sz]ed|briefed|contacted|involved|looped in|brought in|takes command)\b",
    re.IGNORECASE,
)
_ARROW_TARGET = re.compile(r"(?:\u2192|->|=>)\s*(?P<who>[^\u2192]+?)\s*$")
_ORDERED = re.compile(
    r"(?<![\w-])(?:page[sd]?|notif\w+|escalat\w+|alert(?:s|ed)?|call(?:s|ed)?|contact(?:s|ed)?|inform\w*|engage\w*|involve\w*)\b",
    re.IGNORECASE,
)
_DOES = re.compile(
    r",?\s+(?:investigat\w+|respon\w+|acknowledg\w+|acts?|handl\w+|triag\w+|joins?|takes? (?:over|action|charge)"
    r"|works?(?: on it)?|starts?|leads? (?:the )?response|immediately|at once|only|first)$",
    re.IGNORECASE,
)
_TIME_BEFORE = re.compile(
    r"^(?:(?:and|then|after|within|in|another)\s+)*\d+\s*\w+\s+(?:the\s+)?(?=\w)|^(?:and|then)\s+",
    re.IGNORECASE,
)
_ORDERS = re.compile(
    r"^(?:page|notify|call|contact|inform|alert|involve|wake|loop in|bring in|engage)\s+(?:(?:the|an?|your|our)\s+)?(?=\w)",
    re.IGNORECASE,
)
_CALLED = re.compile(rf"(?<!the )(?<!an )(?<!a ){VERB.pattern}", re.IGNORECASE)
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
    r"^(?![@#])(?:.*\b(?:incidents?|issues?|outages?)|(?:p|sev-?|severity |priority |s)\d\S*|it|this|issues?|problems?|tickets?|cases?|outages?|everyone|everybody|anyone|somebody"
    r"|someone|all|them|further|again|up|higher|upwards?|(?:the )?next (?:level|tier|rung|step|person|in line)\w*"
    r"|(?:one|a) (?:level|rung|step)(?: up)?|(?:the )?(?:whole |entire |full )?(?:path|ladder|chain))$",
    re.IGNORECASE,
)
_BETWEEN_ROLES = re.compile(
    r"\s*(?:,\s*(?:and|or)\b|,|;|\+|&|\band/or\b|\band\b|\bor\b|/(?=\s*[A-Z@]))\s*"
)


def is_role(words: str) -> bool:
    """Say whether a few words are a role, and nothing that is done or waited for."""
    return (
        len(words.split()) <= 4
        and ROLE_WORD.search(words) is not None
        and VERB.search(words) is None
        and _ACT.match(words) is None
        and not re.search(
            r"\b(?:if|when|unless|after|until|not|no|next|during|by|lasts?|takes?|is|are|has|have|can|may"
            r"|will|should|must|does|covers?|works?|begins?|ends?|stays?|decides?|owns?)\b",
            words,
            re.IGNORECASE,
        )
    )


def targets_in(words: str) -> tuple[str, ...]:
    """Return whom a sentence reaches, in its own words; nobody when it names nobody."""
    words = words[:_WORDS_CHARS_MAX]
    arrow = _ARROW_TARGET.search(words)
    if arrow is not None and _ORDERED.search(arrow["who"]):
        return targets_in(arrow["who"])
    found = arrow or TARGET.search(words)
    if found is not None:
        who = re.sub(r"\s*\([^()]*\)\s*$", "", found["who"])
        # "Escalate P1 to the team lead": the level stands between.
        who = re.split(r"\bto\s+(?:the\s+)?", who)[-1] if re.search(r"\d.*\bto\s", who) else who
        return roles_in(who) if may_be_somebody(found[0], who) else ()
    for subject in _SUBJECT.finditer(words):
        if ROLE_WORD.search(subject["who"]) and not re.match(
            r"(?:if|when)\b", subject["who"], re.I
        ):
            return roles_in(_TIME_BEFORE.sub("", subject["who"]))
    for pattern in (_BEFORE_TIME, _AFTER_TIME):
        found = pattern.search(words)
        if found is not None and pattern is _AFTER_TIME and found[0].startswith("to "):
            found = found if _CALLED.search(words[: found.start()]) else None
        if found is not None and all(is_role(role) for role in roles_in(found["who"])):
            return roles_in(found["who"])
    return ()


def may_be_somebody(order: str, who: str) -> bool:
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
    return tuple(
        piece
        for piece in cleaned
        if piece and not _NOBODY_NAMED.match(piece) and not is_audience(piece)
    )


def is_audience(words: str) -> bool:
    """Say whether words mean people outside, who are told of an incident and never paged."""
    return _AUDIENCE.search(words) is not None and ROLE_WORD.search(words) is None


def is_act(words: str) -> bool:
    """Say whether words begin with something to do: "Create a backup" names no backup."""
    return _ACT.match(words) is not None


def _bare(role: str) -> str:
    role = re.sub(r"^(?:both\s+)?(?:the|an?|your|our|either|also)\s+", "", role.strip(), flags=re.I)
    role = re.sub(r"'s (?:phone|mobile|cell|number|pager|line)$", "", role, flags=re.IGNORECASE)
    role = _ORDERS.sub("", role)
    return _DOES.sub("", role).strip(" .")


def _belong_together(before: str, after: str) -> bool:
    """Say whether an "and" joins two words of one role: "Head of Trust and Safety"."""
    following = _BETWEEN_ROLES.split(after)[0]
    if re.search(r"\bof\b", before) and not ROLE_WORD.search(following):
        return True
    return not ROLE_WORD.search(before) and len(following.split()) > 1
