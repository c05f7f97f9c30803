"""Does a signal mean what a line of the runbook describes? Explained by the words they share.

Texts become sets of concepts: words are split out of CamelCase, stemmed lightly and folded through
a small table of synonyms. A line matches when the signal covers most of the weight of its concepts;
a rare word weighs more than one that half of the runbook uses. A qualifier ("minor", "complete")
that the signal does not share speaks against the line.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Said = tuple[tuple[str, str], ...]
"""Concepts, each with a word that stands for it."""
MATCH_MIN = 0.6
_REMEMBERED_CHARACTERS_MAX = 300
_WORD_CHARACTERS_MAX = 40
_TEXT_CHARACTERS_MAX = 5_000
_QUALIFIER_PENALTY = 0.6
_GENERIC_WEIGHT = 0.4

_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+(?:xx)?|\d+", re.ASCII)
_NEGATION = re.compile(r"\b(?:non[- ]?|not )(?=[a-z])", re.IGNORECASE)
_STOP_WORDS = """
a an and are as at be been being by for from has have if in into is it its more most no not of on or
over per than that the their them then there this to was were with within when while which who
affect affecting facing causing return returns returning returned see seen show showing log logs
last minute minutes min our we us they you your any second seconds since above below value alert
"""
_STOP = frozenset(_STOP_WORDS.split())
_QUALIFIERS = frozenset(
    {"complete", "partial", "minor", "major", "noncritical", "nonuser", "cosmetic"}
)
_SYNONYMS: tuple[tuple[str, ...], ...] = (
    ("complete", "all", "every", "total", "entire", "full", "fully", "completely", "everything", "nothing"),
    ("partial", "some", "partially", "several"),
    ("minor", "slight", "slightly", "small"),
    ("outage", "down", "unavailable", "unreachable", "offline", "crash", "dead", "downtime", "absent"),
    ("issue", "problem", "failure", "fail", "error", "fault", "exception", "degradation", "degrade", "unhealthy", "flaw", "trouble"),
    ("500", "5xx", "http500", "502", "503"),
    ("database", "db", "postgres", "postgresql", "mysql", "mariadb", "sql"),
    ("connection", "connect", "connectivity", "connected"),
    ("slow", "slowly", "latency", "slowness", "lag", "sluggish", "delay", "p95", "p99"),
    ("response", "respond", "request", "call"),
    ("timeout", "timed", "deadline"),
    ("health", "healthcheck", "liveness", "readiness", "probe", "healthz", "readyz"),
    ("check", "checks"),
    ("breach", "intrusion", "compromise", "unauthorized", "unauthorised", "attack", "exfiltration"),
    ("security", "secure"),
    ("loss", "lost", "lose", "missing"),
    ("corruption", "corrupt"),
    ("user", "customer", "client", "visitor"),
    ("documentation", "doc", "docs", "readme"),
    ("service", "api", "system", "site", "platform", "application", "app", "backend", "server"),
    ("increase", "grow", "rise", "spike", "elevated", "high", "surge", "many", "exhausted", "max",
     "limit", "saturated"),
    ("endpoint", "route", "path"),
    ("success", "successful", "succeed"),
    ("complaint", "complain", "report"),
    ("cosmetic", "typo", "visual", "layout", "styling"),
    ("performance", "throughput"),
    ("stability", "stable", "steady"),
    ("acknowledge", "acknowledgement", "ack"),
    ("fix", "mitigation", "mitigate", "remedy"),
)  # fmt: skip


def stem(word: str) -> str:
    """Return a word without the endings that do not change what it is about."""
    if not word.endswith("ss"):
        for ending in ("ations", "ation", "ings", "ing", "ness", "ed", "s"):
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                word = word.removesuffix(ending)
                break
    if word.endswith("ie"):
        return word[:-2] + "y"
    return word.removesuffix("e") if len(word) > 4 else word


class SameWords:
    """Which words mean the same. One table is shared by all that read with it."""

    def __init__(self, groups: Iterable[Sequence[str]]) -> None:
        """Fold every word of a group into its first; a word belongs to the first group it is in."""
        self._first: dict[str, str] = {}
        for group in groups:
            for word in group:
                self._first.setdefault(stem(word.casefold()), stem(group[0].casefold()))

    def concept(self, root: str) -> str:
        """Return the concept of a stem."""
        return self._first.get(root, root)

    def widened(self, groups: Iterable[Sequence[str]]) -> SameWords:
        """Return a table in which these groups are one each, with all that any of their words meant."""
        wider = SameWords(())
        wider._first.update(self._first)
        for group in groups:
            roots = [stem(word.casefold()) for word in group]
            meant = {wider.concept(root) for root in roots}
            one = next((wider._first[root] for root in roots if root in wider._first), roots[0])
            joined = [root for root, concept in wider._first.items() if concept in meant]
            wider._first.update(dict.fromkeys((*joined, *roots), one))
        return wider


USUAL_WORDS = SameWords(_SYNONYMS)


@lru_cache(maxsize=16)
def same_words(groups: tuple[tuple[str, ...], ...]) -> SameWords:
    """Return the usual table widened by a team's own groups of words."""
    return USUAL_WORDS.widened(groups) if groups else USUAL_WORDS


# "Issues", "errors", "failures": nearly every line has one, so it says little about which line.
_GENERIC = frozenset({stem("issue")})
_QUALIFIER_CONCEPTS = frozenset(USUAL_WORDS.concept(stem(word)) for word in _QUALIFIERS)


def concepts(text: str, same: SameWords = USUAL_WORDS) -> dict[str, str]:
    """Return the concepts of a text, each with the first word that stands for it."""
    found: dict[str, str] = {}
    # No word and no negation goes on over the end of a sentence, so each can be read by itself.
    for sentence in text.split(". "):
        is_short = len(sentence) <= _REMEMBERED_CHARACTERS_MAX
        for concept, word in (_remembered if is_short else _read)(sentence, same):
            found.setdefault(concept, word)
    return found


def _read(sentence: str, same: SameWords = USUAL_WORDS) -> Said:
    tokens = _TOKEN.findall(_NEGATION.sub("non", sentence))
    words = (token.lower() for token in tokens if len(token) <= _WORD_CHARACTERS_MAX)
    return tuple((concept, word) for word in words if (concept := _concept(word, same)))


# A storm says the same few sentences and words again and again.
_remembered = lru_cache(maxsize=4_096)(_read)


@lru_cache(maxsize=16_384)
def _concept(word: str, same: SameWords) -> str:
    if word in _STOP or (len(word) < 2 and not word.isdigit()):
        return ""
    return same.concept(stem(word))


class Match(msgspec.Struct, frozen=True):
    """How well a line describes a signal. ``score`` is in 0..1; ``words`` are the signal's own."""

    score: float
    words: tuple[str, ...]


_NO_MATCH = Match(0.0, ())


class _Reading(msgspec.Struct, frozen=True):
    """One meaning of a line, weighed: what a signal must say, and the most it can score."""

    weights: dict[str, float]
    total: float
    qualifiers: tuple[str, ...]
    is_telling: bool


class Lexicon:
    """The lines of one runbook, weighed against each other, ready to be compared with signals.

    Signals must be read with the same table of words.
    """

    def __init__(self, lines: Iterable[str], same: SameWords = USUAL_WORDS) -> None:
        """Weigh the concepts of all lines: what few lines use tells more."""
        self._same = same
        counts: dict[str, int] = {}
        total = 0
        for line in lines:
            total += 1
            for concept in concepts(line, same):
                counts[concept] = counts.get(concept, 0) + 1
        self._weights = {c: 1.0 + math.log((1 + total) / (1 + n)) for c, n in counts.items()}
        self._rarest = 1.0 + math.log(1 + total)
        # Lines are compared with every signal of a storm, and read once.
        self._read: dict[str, tuple[_Reading, ...]] = {}

    def understood(self, said: Mapping[str, str]) -> Said:
        """Return what of a text any line is about, in a form to remember answers by.

        A storm says the same of ten thousand hosts: without their names they are all alike.
        """
        return tuple((c, word) for c, word in said.items() if c in self._weights)

    def compare(self, line: str, signal: Mapping[str, str]) -> Match:
        """Return how much of the line the signal covers, and by which words of the signal.

        ``signal`` is what ``concepts`` gave for the signal's text.
        """
        readings = self._read.get(line)
        if readings is None:
            readings = self._read[line] = tuple(map(self._weigh, _readings(line)))
        return max((_compare(r, signal) for r in readings), key=lambda match: match.score)

    def _weigh(self, line: str) -> _Reading:
        weights = {concept: self._weight(concept) for concept in concepts(line, self._same)}
        return _Reading(
            weights=weights,
            total=sum(weights.values()),
            qualifiers=tuple(c for c in weights if c in _QUALIFIER_CONCEPTS),
            is_telling=sum(c not in _GENERIC for c in weights) > 1,
        )

    def _weight(self, concept: str) -> float:
        weight = self._weights.get(concept, self._rarest)
        return weight * _GENERIC_WEIGHT if concept in _GENERIC else weight


def _compare(reading: _Reading, signal: Mapping[str, str]) -> Match:
    shared = [c for c in reading.weights if c in signal]
    if not shared:
        return _NO_MATCH
    score = sum(reading.weights[c] for c in shared) / reading.total
    if any(c not in signal for c in reading.qualifiers):
        score *= _QUALIFIER_PENALTY
    if reading.is_telling and len(shared) < 2:
        score = min(score, 0.5)
    return Match(score, tuple(signal[c] for c in shared))


def _readings(line: str) -> list[str]:
    """Return what a line can mean: "data loss or corruption" is either of the two, or both."""
    words = line.split()
    found = [line]
    for at, word in enumerate(words):
        if word.casefold() == "or" and 0 < at < len(words) - 1:
            found.append(" ".join(words[:at] + words[at + 2 :]))
            found.append(" ".join(words[: at - 1] + words[at + 1 :]))
    return found


def signal_text(title: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """Return what a signal says in words: its title, its annotations, and telling labels.

    Of a text that goes on for pages, the first one.
    """
    parts: Sequence[str] = [
        title,
        *(
            annotations[k]
            for k in ("summary", "description", "message", "title")
            if k in annotations
        ),
        *(labels[k] for k in ("alertname", "service", "app", "job", "component") if k in labels),
    ]
    return ". ".join(part[:_TEXT_CHARACTERS_MAX] for part in parts)
