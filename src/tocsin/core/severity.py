"""How bad is it? Labels first, then the runbook's own criteria and scenarios, always with a reason."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from tocsin.core.events import GradedBecause
from tocsin.core.explained import ThisPolicy, explained_by
from tocsin.core.similarity import (
    MATCH_MIN,
    USUAL_WORDS,
    Lexicon,
    Match,
    SameWords,
    concepts,
    same_words,
    signal_text,
)
from tocsin.core.state import Grade

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.base.source import Source
    from tocsin.core.inputs import Signal
    from tocsin.core.policy import Play, Policy, Severity
    from tocsin.core.similarity import Said
    from tocsin.core.surroundings import Tuning

# A criterion decides whom to wake, so the signal must say nearly all of it.
_CRITERION_MATCH_MIN = 0.7
# A scenario's heading is the team's own summary, so a little less than a full match will do.
_PLAY_MATCH_MIN = 0.5
_REMEMBERED_CHARACTERS_MAX = 1_000
_LABELS = ("severity", "priority", "level")
_YES = frozenset({"1", "true", "yes"})
_BREACH = frozenset({"security_breach", "security-breach", "breach"})
_BREACH_LABELS = ("category", "type", "incident_type", "security")


class PlayMatch(msgspec.Struct, frozen=True):
    """The scenario that fits a signal best, and the symptoms that say so."""

    play: str
    source: Source
    symptoms: tuple[Source, ...]
    words: tuple[str, ...]
    score: float


def is_security_breach(signal: Signal) -> bool:
    """Say whether the sender labelled the signal as a security breach.

    ``security_breach="true"``, or ``category``, ``type``, ``incident_type`` or ``security`` with the
    value "security_breach" or "breach". Text alone never decides this: it reaches the top.
    """
    if signal.labels.get("security_breach", "").casefold() in _YES:
        return True
    return any(signal.labels.get(name, "").casefold() in _BREACH for name in _BREACH_LABELS)


def default_level(policy: Policy, tuning: Tuning) -> str:
    """Return the level of an incident that nothing grades, or "" if the runbook declares none.

    The settings decide; else the middle of the scheme, leaning to the milder side: P2 of P0-P3.
    """
    chosen = policy.severity(tuning.severity_default) if tuning.severity_default else None
    if chosen is not None:
        return chosen.level
    if not policy.severities:
        return ""
    return policy.severities[len(policy.severities) // 2].level


def grade_signal(policy: Policy, tuning: Tuning, signal: Signal) -> Grade:
    """Return the severity of one signal with its reason.

    A label that names a level wins; then a security breach; then the level of the scenario that its
    link or its name belongs to; then the criterion that the signal's words cover best; then the
    criterion that its scenario covers; else the default level.
    """
    labelled = _by_label(policy, tuning, signal)
    if labelled is not None:
        return labelled
    if is_security_breach(signal):
        return grade_breach(policy, tuning)
    explained = explained_by(policy, tuning, signal)
    declared = policy.severity(explained.play.severity or "") if explained else None
    if explained is not None and declared is not None:
        because = (explained.because,)
        return Grade(declared.level, GradedBecause.SCENARIO, explained.play.source, because)
    return grade_text(policy, tuning, signal_text(signal.title, signal.labels, signal.annotations))


def grade_text(policy: Policy, tuning: Tuning, text: str) -> Grade:
    """Return the severity that the words of a signal or a declaration deserve."""
    words, default = _words(tuning), default_level(policy, tuning)
    if len(text) > _REMEMBERED_CHARACTERS_MAX:
        return _grade_text(policy, words, default, text)
    return _graded(ThisPolicy(policy), words, default, text)


@lru_cache(maxsize=8_192)
def _graded(this: ThisPolicy, same: SameWords, default: str, text: str) -> Grade:
    # The same few alerts say the same words again and again, for months.
    return _grade_text(this.policy, same, default, text)


def _grade_text(policy: Policy, same: SameWords, default: str, text: str) -> Grade:
    direct = _best_criterion(policy, concepts(text, same), same)
    if direct is not None:
        level, source, match = direct
        return Grade(level.level, GradedBecause.CRITERION, source, match.words)
    play = _match_play(policy, same, text)
    if play is not None:
        found = policy.play(play.play)
        assert found is not None  # match_play only names plays of this policy
        graded = _grade_play(policy, found, same)
        if graded is not None:
            level, source = graded
            return Grade(level.level, GradedBecause.SCENARIO, source, play.words)
    declared = policy.severity(default)
    return Grade(default, GradedBecause.DEFAULT, declared.source if declared else None)


def grade_breach(policy: Policy, tuning: Tuning) -> Grade:
    """Return the severity of a security breach: its own criterion, else the worst level."""
    words = _words(tuning)
    direct = _best_criterion(policy, concepts("security breach", words), words)
    if direct is not None:
        return Grade(direct[0].level, GradedBecause.SECURITY_BREACH, direct[1])
    if policy.severities:
        worst = policy.severities[0]
        return Grade(worst.level, GradedBecause.SECURITY_BREACH, worst.source)
    return Grade(default_level(policy, tuning), GradedBecause.SECURITY_BREACH)


def choose_play(policy: Policy, tuning: Tuning, signal: Signal) -> PlayMatch | None:
    """Return the play that a signal's link or name belongs to, else the one its words suggest."""
    text = signal_text(signal.title, signal.labels, signal.annotations)
    explained = explained_by(policy, tuning, signal)
    if explained is None:
        return match_play(policy, text, tuning)
    play = explained.play
    seen = symptoms_of(policy, play, text, tuning)
    return PlayMatch(play.name, play.source, seen, (explained.because,), 1.0)


def match_play(policy: Policy, text: str, tuning: Tuning | None = None) -> PlayMatch | None:
    """Return the play whose name or symptoms the text covers best, or None below the threshold."""
    return _match_play(policy, _words(tuning), text)


def _match_play(policy: Policy, same: SameWords, text: str) -> PlayMatch | None:
    understood = _lexicon(policy, same).understood(concepts(text, same))
    return _best_play(ThisPolicy(policy), same, understood)


@lru_cache(maxsize=4_096)
def _best_play(this: ThisPolicy, same: SameWords, understood: Said) -> PlayMatch | None:
    lexicon, said = _lexicon_of(this, same), dict(understood)
    best: PlayMatch | None = None
    for play in this.policy.plays:
        hits = [(s, lexicon.compare(s.text, said)) for s in play.symptoms]
        hits = [(s, m) for s, m in hits if m.score >= MATCH_MIN]
        named = lexicon.compare(play.name, said)
        score = max([m.score for _, m in hits] + [named.score])
        if score < MATCH_MIN:
            continue
        words = dict.fromkeys([w for _, m in hits for w in m.words] + list(named.words))
        # Of two that fit equally well, the one with more symptoms, then more words, is meant.
        score += 0.1 * len(hits) + 0.02 * len(words)
        if best is None or score > best.score:
            sources = tuple(s.source for s, _ in hits)
            best = PlayMatch(play.name, play.source, sources, tuple(words), score)
    return best


def symptoms_of(
    policy: Policy, play: Play, text: str, tuning: Tuning | None = None
) -> tuple[Source, ...]:
    """Return the symptoms of a play that the text names well enough to be meant."""
    words = _words(tuning)
    said = concepts(text, words)
    lexicon = _lexicon(policy, words)
    return tuple(
        symptom.source
        for symptom in play.symptoms
        if lexicon.compare(symptom.text, said).score >= MATCH_MIN
    )


def _by_label(policy: Policy, tuning: Tuning, signal: Signal) -> Grade | None:
    for name in _LABELS:
        value = signal.labels.get(name, "").strip()
        if not value:
            continue
        mapped = tuning.severity_by_label.get(value.casefold(), value)
        level = policy.severity(mapped) or _by_name(policy, mapped)
        if level is not None:
            return Grade(level.level, GradedBecause.LABEL, level.source, (f"{name}={value}",))
    return None


def _by_name(policy: Policy, name: str) -> Severity | None:
    wanted = name.casefold()
    return next((s for s in policy.severities if s.name.casefold() == wanted), None)


def _best_criterion(
    policy: Policy,
    said: Mapping[str, str],
    same: SameWords,
    at_least: float = _CRITERION_MATCH_MIN,
) -> tuple[Severity, Source, Match] | None:
    """Return the best criterion at or above the threshold; of equals, the worse level's."""
    understood = _lexicon(policy, same).understood(said)
    return _best_of(ThisPolicy(policy), same, understood, at_least)


@lru_cache(maxsize=4_096)
def _best_of(
    this: ThisPolicy, same: SameWords, understood: Said, at_least: float
) -> tuple[Severity, Source, Match] | None:
    lexicon, said = _lexicon_of(this, same), dict(understood)
    best: tuple[Severity, Source, Match] | None = None
    for level in this.policy.severities:
        for criterion in level.criteria:
            match = lexicon.compare(criterion.text, said)
            if match.score >= at_least and (best is None or match.score > best[2].score):
                best = (level, criterion.source, match)
    return best


def _grade_play(policy: Policy, play: Play, same: SameWords) -> tuple[Severity, Source] | None:
    declared = policy.severity(play.severity) if play.severity else None
    if declared is not None:
        return declared, play.source
    named = _best_criterion(policy, concepts(play.name, same), same, _PLAY_MATCH_MIN)
    seen = (_best_criterion(policy, concepts(s.text, same), same) for s in play.symptoms)
    found = named or next((match for match in seen if match is not None), None)
    return None if found is None else (found[0], found[1])


def _words(tuning: Tuning | None) -> SameWords:
    return same_words(tuning.same_words) if tuning is not None else USUAL_WORDS


@lru_cache(maxsize=16)
def _lexicon_of(this: ThisPolicy, same: SameWords) -> Lexicon:
    criteria = [c.text for s in this.policy.severities for c in s.criteria]
    symptoms = [t for p in this.policy.plays for t in (p.name, *(s.text for s in p.symptoms))]
    return Lexicon((*criteria, *symptoms), same)


def _lexicon(policy: Policy, same: SameWords) -> Lexicon:
    return _lexicon_of(ThisPolicy(policy), same)
