"""What every reader of an escalation needs: the levels, the ladder, and the account of each line."""

from __future__ import annotations

import re

import msgspec

from tocsin.core.policy import Clock, LineStatus
from tocsin.runbook.findings import did_you_mean
from tocsin.runbook.ladder import Ladder, NotCarried
from tocsin.runbook.levels import Named, Scheme
from tocsin.runbook.notes import Notes
from tocsin.runbook.phrases import listed, short
from tocsin.runbook.roles import VERB, targets_in

_FOREIGN_LEVEL = re.compile(r"(?<![\w.])(?:P|SEV-?|Sev\s|Severity\s|Priority\s)\d(?![\w.])")


class About(msgspec.Struct, frozen=True):
    """What the heading, the label or the item around says, where the words say none themselves.

    ``after_s`` is None where nothing around gives a time; ``to`` is empty where nobody is named.
    """

    levels: Named | None = None
    after_s: int | None = None
    clock: Clock | None = None
    to: tuple[str, ...] = ()

    def with_levels(self, named: Named | None) -> About:
        """Return the same, about these levels if there are any."""
        return self if named is None else msgspec.structs.replace(self, levels=named)


NOTHING = About()


class Account(msgspec.Struct, frozen=True):
    """The levels by which one document is read, and where what it says is kept."""

    scheme: Scheme
    ladder: Ladder
    notes: Notes

    def named(self, words: str) -> Named | None:
        """Return the levels that words name; those that no scheme here has count as undeclared."""
        named = self.scheme.named_in(words)
        if named is None and self.scheme.levels and (found := _FOREIGN_LEVEL.search(words)):
            return Named((), found[0], undeclared=(found[0],))
        return named

    def level_alone(self, words: str) -> Named | None:
        """Return the levels that words name if they say little else: "P0 incidents"."""
        if VERB.search(words):
            return None
        bare = re.sub(r"\b(?:incidents?|severity|level)\b|[:*()]", " ", words).strip()
        named = self.named(bare)
        if named is None:
            # "Severity A" is all level.
            named = self.scheme.named_in(words.strip(" :*()"))
            bare = words
        return named if named is not None and len(bare.split()) <= 3 else None

    def undeclared(self, named: Named | None, line: int) -> None:
        """Report the levels that a line names and nobody declared."""
        if named is None:
            return
        for word in named.undeclared:
            self.notes.find(
                "T102",
                line,
                word,
                f"{word} is not a declared severity level.",
                f"Declare it, or use one of {', '.join(self.scheme.words)}."
                f" {did_you_mean(word, self.scheme.words)}".strip(),
            )

    def short_form(self, named: Named | None, line: int) -> None:
        """Report how a short form was read: "P1+" as P0 and P1."""
        if named is not None and named.short_form:
            self.notes.find(
                "T118",
                line,
                named.short_form,
                f"{named.short_form} is read as {listed(named.levels)}.",
                f"Write {'/'.join(named.levels)} to be explicit.",
            )

    def not_carried(self, words: str, line: int, around: About, *, end: int = 0) -> None:
        """Account for a line that is no rule, with the levels and people it names."""
        named = self.scheme.named_in(words) or around.levels
        self.undeclared(named, line)
        levels = named.levels if named else ()
        to = targets_in(words) if VERB.search(words) else ()
        self.note_not_carried(words, line, levels, to, end=end)

    def note_not_carried(
        self, words: str, line: int, levels: tuple[str, ...], to: tuple[str, ...], *, end: int = 0
    ) -> None:
        """Account for a line that is no rule, for these levels and people."""
        rule = "escalation rule not understood"
        if levels:
            rule = "escalation criterion without a time"
        self.notes.mark(line, LineStatus.UNSUPPORTED, rule, end=end)
        self.ladder.not_carried.append(NotCarried(levels, line, words, to))

    def measurement(self, words: str, line: int) -> None:
        """Leave a line that waits for a measurement to a person."""
        self.notes.mark(line, LineStatus.HUMAN, "escalation on a measurement: a person judges")
        self.notes.find(
            "T125",
            line,
            1,
            f"\u201c{short(words)}\u201d waits for a measurement, not for a clock.",
            "Alert on the measurement and let the alert open the incident.",
        )

    def promise(self, words: str, line: int, whose: str = "") -> None:
        """Report a time in which somebody means to work: nothing is timed by it."""
        self.notes.mark(line, LineStatus.REFERENCE, "promise in an escalation")
        self.notes.find(
            "T136",
            line,
            words,
            f"\u201c{short(words)}\u201d is a promise{whose}; nothing is timed by it.",
            "Say whom to page when it is broken: \u201cif not acknowledged in 15 min, page the"
            " team lead\u201d.",
        )
