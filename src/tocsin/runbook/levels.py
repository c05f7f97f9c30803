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
}
_CASELESS = ("p", "sev", "level", "tier")
_WORST_FIRST = (
    ("critical", "blocker", "emergency", "catastrophic"),
    ("urgent", "high", "major"),
    ("medium", "moderate", "normal"),
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
_DASH = r"\s*(?:-|\u2013|\u2014|\bto\b|\bthrough\b|\.\.)\s*"
_ABOVE = re.compile(r"\b(?:above|worse than|higher than|over)\s+(?:an?\s+)?$", re.IGNORECASE)
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
        keys = [level.key for level in self.levels]
        chosen: set[int] = set()
        undeclared: list[str] = []
        short: list[str] = []
        first = ""
        for match in _mentions(family).finditer(text):
            low = f"{family}{match['low']}"
            if low not in keys:
                undeclared.append(match["one"].strip())
                continue
            at = keys.index(low)
            first = first or match[0].strip()
            if match["high"]:
                high = f"{family}{match['high']}"
                if high not in keys:
                    undeclared.append(match["high"])
                    continue
                a, b = sorted((at, keys.index(high)))
                chosen.update(range(a, b + 1))
                short.append(match[0].strip())
            elif match["up"]:
                chosen.update(range(at + 1))
                short.append(match[0].strip())
            elif match["down"]:
                chosen.update(range(at, len(keys)))
                short.append(match[0].strip())
            elif above := _ABOVE.search(text[: match.start()]):
                chosen.update(range(at))
                short.append(above[0] + match[0].strip())
            else:
                chosen.add(at)
        if not chosen and not undeclared:
            return None
        return self._named(chosen, first or undeclared[0], " ".join(short), tuple(undeclared))

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
        flags = re.IGNORECASE if family in _CASELESS else 0
        found = re.match(rf"({_FAMILIES[family]})(\d)(?!\w|\.\d)", words, flags)
        if found:
            tail = words[found.end() :]
            if tail.startswith(("/", "+")) or re.match(r"\s*[-\u2013]\s*\w{0,4}\d", tail):
                return None  # a set or a range names levels, it declares none
            name = _PARENTHESIS.sub("", _TAIL.sub("", tail)).strip()
            inside = re.match(r"^\s*\(([^()]+)\)", tail)
            if inside:
                name = inside[1].strip()
            elif whole and len(name.split()) > 4:
                return None
            level = found[0].strip()
            return Declared(f"{family}{found[2]}", level, name, family, int(found[2]))
        tail_found = re.match(
            rf"^([\w\s]+?)[\s(\u2013\u2014-]+({_FAMILIES[family]})(\d)\)?$", words, flags
        )
        if tail_found and len(tail_found[1].split()) <= 2:
            level = (tail_found[2] + tail_found[3]).strip()
            name = tail_found[1].strip()
            return Declared(f"{family}{tail_found[3]}", level, name, family, int(tail_found[3]))
    first = re.match(r"[A-Za-z]+", words)
    if first and first[0].casefold() in _WORD_RANK:
        bare = _PARENTHESIS.sub("", words)
        bare = re.sub(r"\s+(?:severity|priority|incidents?|level)$", "", bare, flags=re.IGNORECASE)
        if len(bare.split()) == 1:
            word = first[0]
            return Declared(word.casefold(), word, "", "word", _WORD_RANK[word.casefold()])
    return None


def scheme_of(declared: Sequence[Declared]) -> Scheme:
    """Order what was declared, worst first. Only the family of the first one counts."""
    unique: dict[str, Declared] = {}
    for level in declared:
        if level.family == declared[0].family:
            unique.setdefault(level.key, level)
    return Scheme(tuple(sorted(unique.values(), key=lambda level: level.order)))


def mentioned_levels(text: str) -> tuple[Declared, ...]:
    """Return the P- and SEV-levels that a text mentions, for documents that never declare them."""
    found: list[Declared] = []
    for family in ("p", "sev"):
        pattern = rf"(?<![\w/.-])({'P' if family == 'p' else 'SEV-?'})([0-5])(?!\w|\.\d)"
        for match in re.finditer(pattern, text):
            order = int(match[2])
            found.append(Declared(f"{family}{order}", match[0], "", family, order))
        if found:
            break
    return tuple(found)


def _mentions(family: str) -> re.Pattern[str]:
    prefix = _FAMILIES.get(family, "(?!)")
    flags = re.IGNORECASE if family in _CASELESS else 0
    low = rf"(?P<one>{prefix}(?P<low>\d))(?![\w]|\.\d)"
    high = rf"(?:{_DASH}(?:{prefix})?(?P<high>\d)(?![\w]|\.\d|\s*(?:min|h|s)))"
    return re.compile(rf"(?<![\w.]){low}(?:{high}|{_UP}|{_DOWN})?", flags)


def _spoken(word: str, text: str) -> re.Match[str] | None:
    """Find a level's word where it stands for the level, not as a common adjective."""
    escaped = re.escape(word)
    noun = r"(?:[\s/-]+(?:incident|severity|priority|issue|alert|level)s?\b)"
    pattern = (
        rf"(?:^\s*{escaped}(?:{_UP}|\s*(?:[:(/,|\u2013-]|$))"
        rf"|\b{escaped}(?:{noun}|(?=\s*(?:/|,|\band\b|\bor\b)\s*\w+{noun})))"
    )
    return re.search(pattern, text, re.IGNORECASE)
