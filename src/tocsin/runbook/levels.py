"""The words for severity levels: how a document declares them, and how its sentences name them.

A scheme belongs to one document. ``P1`` is the worst level in one and the second in another, so
nothing here orders levels except the declarations themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

_FAMILIES = {
    "p": r"P(?:riority)?[-\s]?",
    "sev": r"Sev(?:erity)?[-\s#]*",
    "s": r"S-?",
    "level": r"Level[-\s]+",
    "tier": r"Tier[-\s]+",
    "letter": r"(?:(?:Severity|Sev|Priority|Class|Category|Level|Grade)[-\s]+)",
}
_CASELESS = ("p", "sev", "level", "tier", "letter")
_LETTER = r"[A-Ea-e]"
_WORST_FIRST = (
    ("critical", "blocker", "emergency", "catastrophic"),
    ("urgent", "high", "major", "severe"),
    ("medium", "moderate", "normal", "warning"),
    ("low", "minor"),
    ("trivial", "info", "informational"),
)
_WORD_RANK = {word: rank for rank, words in enumerate(_WORST_FIRST) for word in words}
_DECORATION = re.compile(r"^[^\w`]+")
_TAIL = re.compile(r"^[\s)\]:.\u2013\u2014|/-]+")
_PARENTHESIS = re.compile(r"\s*\([^()]*\)?\s*$")
_ALL = re.compile(
    r"\b(?:all|any|every)\s+(?:incident|severit|level|priorit|issue|alert)|^\s*(?:all|any|every)\s*$",
    re.IGNORECASE,
)
_UP = r"\s*(?P<up>\+|(?:,?\s*(?:and|or)\s+(?:above|higher|worse|up|greater)))"
_DOWN = r"(?P<down>\s*,?\s*(?:and|or)\s+(?:below|lower|less))"
_TIME_UNIT = r"\s*(?:m|mins?|minutes?|h|hrs?|hours?|s|secs?|seconds?|d|days?|weeks?|x|%)\b"
_ALSO = (
    rf"(?P<also>(?:\s*/\s*\d(?![\w%]|\.\d|{_TIME_UNIT})"
    rf"|\s*(?:,|&|\band\b|\bor\b)\s*\d(?=\s*(?:$|[:,)/]|\b(?:and|or|only|incidents?)\b)))+)"
)
_DASH = r"\s*(?:-|\u2013|\u2014|\bto\b|\bthrough\b|\.\.)\s*"
_ABOVE = re.compile(r"\b(?:above|worse than|higher than|over)\s+(?:an?\s+)?$", re.IGNORECASE)
_LEAD = re.compile(
    r"^\s*(?:[-*+|>]|\d+[.)])\s*(?P<words>[*\w #-]{1,24}?)\**\s*(?:[:|(\u2013\u2014]|-\s|incidents?\b)"
)
_REACHING = re.compile(
    r"escalat|\bpage[sd]?\b|notif|\bcall\b|immediate|\bafter\b|\d\s*-?(?:m|min\w*|h|hours?|hrs?)\b",
    re.IGNORECASE,
)
_BARE_NOUN = re.compile(
    r"^(?:incidents?|severity|priority|level|issues?|alerts?|outages?)$", re.IGNORECASE
)
_NO_NAME = re.compile(r"\d|:|\brespon[sd]|\bsla\b|immediate|target", re.IGNORECASE)
_FILTERED = re.compile(
    r"\b(?:for|during|on|in|of)\s+(?:any\s+|all\s+)?(?P<words>[a-z][a-z-]*(?:[\s/,&]+[a-z-]+){0,2}?)"
    r"\s+(?:incident|outage|issue|event|disruption|emergenc)\w*",
    re.IGNORECASE,
)
_UNFILTERING = {
    "an", "the", "a", "any", "all", "every", "active", "ongoing", "open", "each", "production",
    "such", "these", "this", "our", "declared", "current",
}  # fmt: skip


class Declared(msgspec.Struct, frozen=True):
    """A level as declared: ``key`` is how levels are compared, ``level`` the document's word."""

    key: str
    level: str
    name: str
    family: str
    order: int


class Named(msgspec.Struct, frozen=True):
    """The levels that some words name, worst first, and where the words stand.

    ``short_form`` holds the words of a range ("P1+"), empty when every level was spelt out.
    ``undeclared`` holds level-like words that the scheme does not know.
    """

    levels: tuple[str, ...]
    words: str = ""
    short_form: str = ""
    undeclared: tuple[str, ...] = ()
    is_all: bool = False


class Scheme(msgspec.Struct, frozen=True):
    """The levels of one document, worst first."""

    levels: tuple[Declared, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """Return the levels in the document's own words, worst first."""
        return tuple(level.level for level in self.levels)

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the levels as they are compared: ``SEV-1`` and ``Sev 1`` are one."""
        return tuple(level.key for level in self.levels)

    def named_in(self, text: str) -> Named | None:
        """Return the levels these words name, or None if they speak of none."""
        family = self.levels[0].family if self.levels else ""
        named = self._numbered(text, family) if family != "word" else self._worded(text)
        if named is not None:
            return named
        if family != "word" and (by_name := self._by_name(text)) is not None:
            return by_name
        if found := _ALL.search(text):
            return Named(self.words, found[0], is_all=True)
        return None

    def _numbered(self, text: str, family: str) -> Named | None:
        chosen: set[int] = set()
        undeclared: list[str] = []
        short: list[str] = []
        first = ""
        for match in _mentions(family).finditer(text):
            signs, unknown = self._signs(match, family)
            undeclared.extend(unknown)
            if not signs:
                continue
            first = first or match[0].strip()
            at = signs[0]
            above = _ABOVE.search(text, max(0, match.start() - 40), match.start())
            if match["high"]:
                chosen.update(range(min(signs), max(signs) + 1) if len(signs) > 1 else ())
                short.append(match[0].strip())
            elif match["up"]:
                chosen.update(range(at + 1))
                short.append(match[0].strip())
            elif match["down"]:
                chosen.update(range(at, len(self.levels)))
                short.append(match[0].strip())
            elif above and not match["also"]:
                chosen.update(range(at))
                short.append(above[0] + match[0].strip())
            else:
                chosen.update(signs)
        if not chosen and not undeclared:
            return None
        return self._named(chosen, first or undeclared[0], " ".join(short), tuple(undeclared))

    def _signs(self, match: re.Match[str], family: str) -> tuple[list[int], list[str]]:
        """Return the places of the levels a mention spells out, and what it names besides."""
        keys = self.keys
        if f"{family}{match['low'].casefold()}" not in keys:
            return [], [match["one"].strip()]
        signs = [match["low"], match["high"] or ""]
        signs += re.findall(r"\d|\b[A-E]\b", match["also"] or "")
        places: list[int] = []
        undeclared: list[str] = []
        for sign in filter(None, signs):
            if (key := f"{family}{sign.casefold()}") in keys:
                places.append(keys.index(key))
            else:
                undeclared.append(sign)
        return places, undeclared

    def _worded(self, text: str) -> Named | None:
        chosen: set[int] = set()
        short, first = "", ""
        for at, level in enumerate(self.levels):
            found = _spoken(level.level, text)
            if found is None:
                continue
            first = first or found[0]
            if found["up"]:
                chosen.update(range(at + 1))
                short = found[0]
            else:
                chosen.add(at)
        return self._named(chosen, first, short, ()) if chosen else None

    def _by_name(self, text: str) -> Named | None:
        chosen: set[int] = set()
        short, first = "", ""
        for at, level in enumerate(self.levels):
            found = _spoken(level.name, text) if level.name else None
            if found is None:
                continue
            first = first or found[0]
            chosen.update(range(at + 1) if found["up"] else (at,))
            short = short or (found[0] if found["up"] else "")
        return self._named(chosen, first, short, ()) if chosen else None

    def _named(
        self, chosen: set[int], words: str, short: str, undeclared: tuple[str, ...]
    ) -> Named:
        return Named(tuple(self.words[i] for i in sorted(chosen)), words, short, undeclared)


def unknown_filter(text: str) -> str:
    """Return words that sound like a severity filter but name no level: "major incidents"."""
    for found in _FILTERED.finditer(text):
        words = found["words"].casefold().split()
        if not all(word in _UNFILTERING for word in words):
            return text[found.start("words") : found.end()]
    return ""


def declared_in(text: str, *, whole: bool = False) -> Declared | None:
    """Return the level that a heading, a table cell or a bold lead declares, or None.

    ``whole`` asks that the text be little else than the level, as in a table cell.
    """
    words = _DECORATION.sub("", text[:200]).strip().strip("`*")
    for family in _FAMILIES:
        declared = _numbered_level(words, family, whole)
        if declared is not None:
            return declared
        if re.match(rf"{_FAMILIES[family]}\d", words, _flags(family)):
            return None
    first = re.match(r"[A-Za-z]+", words)
    if first and first[0].casefold() in _WORD_RANK:
        bare = _PARENTHESIS.sub("", words)
        bare = re.sub(r"\s+(?:severity|priority|incidents?|level)$", "", bare, flags=re.IGNORECASE)
        if len(bare.split()) == 1 and bare.casefold() == first[0].casefold():
            word = first[0]
            return Declared(word.casefold(), word, "", "word", _WORD_RANK[word.casefold()])
    return None


def declared_in_cell(cell: str, header: str) -> Declared | None:
    """Return the level that a cell declares; below "Sev" or "Priority" a bare sign is one."""
    declared = declared_in(cell, whole=True)
    bare = cell.strip().strip("*`")
    if declared is not None or not re.fullmatch(rf"\d|{_LETTER.replace('a-e', '')}", bare):
        return declared
    if not re.search(r"sev|priorit|level|class|grade", header, re.IGNORECASE):
        return None
    if not bare.isdigit():
        return Declared(f"letter{bare.casefold()}", bare, "", "letter", ord(bare.casefold()))
    family = "p" if re.search(r"priorit", header, re.IGNORECASE) else "sev"
    return Declared(f"{family}{bare}", bare, "", family, int(bare))


def name_in(words: str) -> tuple[str, str]:
    """Part a name from what follows it: "Critical - all is down". Without a name it is empty."""
    found = re.match(
        r"^\W*(?P<name>[A-Za-z]+)\s*(?P<cut>[:\u2013\u2014-]\s+|$)(?P<rest>.*)$", words
    )
    if found is None or found["name"].casefold() not in _WORD_RANK:
        return "", words
    return found["name"], found["rest"]


def _flags(family: str) -> re.RegexFlag:
    return re.IGNORECASE if family in _CASELESS else re.NOFLAG


def _numbered_level(words: str, family: str, whole: bool) -> Declared | None:
    sign = _LETTER if family == "letter" else r"\d"
    flags = _flags(family)
    found = re.match(rf"({_FAMILIES[family]})({sign})(?!\w|\.\d)", words, flags)
    if found:
        tail = words[found.end() :]
        if tail.startswith(("/", "+")) or re.match(r"\s*[-\u2013]\s*\w{0,4}\d", tail):
            return None  # a set or a range names levels, it declares none
        name = _PARENTHESIS.sub("", _TAIL.sub("", tail)).strip()
        inside = re.match(r"^\s*\(([^()]+)\)", tail)
        if inside:
            name = "" if _NO_NAME.search(inside[1]) else inside[1].strip()
        elif whole and len(name.split()) > 4:
            return None
        return _declared(found[0].strip(), found[2], family, name)
    named_first = re.match(
        rf"^([\w\s]+?)[\s(\u2013\u2014-]+({_FAMILIES[family]})({sign})\)?$", words, flags
    )
    if named_first and len(named_first[1].split()) <= 2 and family != "letter":
        level = (named_first[2] + named_first[3]).strip()
        return _declared(level, named_first[3], family, named_first[1].strip())
    return None


def _declared(level: str, sign: str, family: str, name: str) -> Declared:
    order = int(sign) if sign.isdigit() else ord(sign.casefold())
    name = "" if _BARE_NOUN.match(name) or not re.search(r"\w", name) else name
    return Declared(f"{family}{sign.casefold()}", level, name, family, order)


def scheme_of(declared: Sequence[Declared]) -> Scheme:
    """Order what was declared, worst first. Only the family of the first one counts."""
    unique: dict[str, Declared] = {}
    for level in declared:
        if level.family == declared[0].family:
            unique.setdefault(level.key, level)
    return Scheme(tuple(sorted(unique.values(), key=lambda level: level.order)))


def mentioned_levels(text: str, *, words: bool = True) -> tuple[Declared, ...]:
    """Return the levels that a text mentions, for documents that never declare them.

    P- and SEV-levels count anywhere, others only with ``words`` and where they open a line.
    """
    found: list[Declared] = []
    for family in ("p", "sev"):
        pattern = rf"(?<![\w.-])(?:(?<!/)|(?<=\d/))({'P' if family == 'p' else 'SEV-?'})([0-5])(?!\w|\.\d)"
        for match in re.finditer(pattern, text):
            order = int(match[2])
            found.append(Declared(f"{family}{order}", match[0], "", family, order))
        if found:
            return tuple(found)
    for line in text.splitlines() if words else ():
        lead = _LEAD.match(line)
        if lead is None or not _REACHING.search(line):
            continue
        declared = declared_in(lead["words"].replace("*", ""), whole=True)
        if declared is not None and (not found or declared.family == found[0].family):
            found.append(declared)
    return tuple(found)


def _mentions(family: str) -> re.Pattern[str]:
    prefix = _FAMILIES.get(family, "(?!)")
    if family == "letter":
        low = rf"(?P<one>{prefix}(?P<low>{_LETTER}))(?!\w)"
        high = rf"(?:\s*[-\u2013]\s*(?:{prefix})?(?P<high>{_LETTER})(?!\w))"
        also = rf"(?P<also>(?:\s*(?:/|,|&|\band\b|\bor\b)\s*{_LETTER.replace('a-e', '')}(?!\w))+)"
    else:
        low = rf"(?P<one>{prefix}(?P<low>\d))(?:'?s)?(?![\w]|\.\d)"
        high = rf"(?:{_DASH}(?:{prefix})?(?P<high>\d)(?![\w]|\.\d|\s*(?:min|h|s)))"
        also = _ALSO
    return re.compile(rf"(?<![\w.]){low}(?:{high}|{also}|{_UP}|{_DOWN})?", _flags(family))


def _spoken(word: str, text: str) -> re.Match[str] | None:
    """Find a level's word where it stands for the level, not as a common adjective."""
    escaped = re.escape(word)
    noun = r"(?:[\s/-]+(?:incident|severity|priority|issue|alert|level)s?\b)"
    pattern = (
        rf"(?:^\s*{escaped}(?:{_UP}|\s*(?:[:(/,|\u2013-]|$))"
        rf"|\b{escaped}(?:{noun}|(?=\s*(?:/|,|\band\b|\bor\b)\s*\w+{noun})))"
    )
    found = re.search(pattern, text, re.IGNORECASE)
    if found is not None or not word[:1].isupper():
        return found
    # Written as the level is, and where a level would stand: "after 1 hour (Critical only)".
    ends = (
        r"\s*(?:$|[,;:.)/>]|\d)"
        r"|\s+(?:and|or|only|if|after|not|is|un\w+|within|at|lasting|still)\b"
    )
    named = rf"(?:^\W*|\b(?:for|on|an?|any|all|of)\s+|[(/]\s*|\b[A-Z]\w+\s+(?:and|or)\s+){escaped}"
    return re.search(rf"{named}(?:{_UP}|(?={ends}))", text)
