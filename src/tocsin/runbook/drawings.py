"""Drawings of an escalation: arrows from one role to the next, and trees in code blocks."""

from __future__ import annotations

import re
from collections.abc import Callable

from tocsin.core.policy import LineStatus
from tocsin.runbook.account import About, Account
from tocsin.runbook.document import Fence, Inline
from tocsin.runbook.ladder import Climb
from tocsin.runbook.levels import Named
from tocsin.runbook.phrases import ARROWS, clear, clock_of, delay_of, is_told, moments_of
from tocsin.runbook.roles import VERB, is_act, is_role, roles_in, targets_in
from tocsin.runbook.rungs import Rungs

ReadLine = Callable[[Inline, About, bool], None]
_DRAWN = ("", "text", "txt", "ascii", "plain", "plaintext", "console", "markdown", "md")
_BRANCH = re.compile(r"^[\s\u2500-\u257f|+`*\\-]*(?:[->]+\s)?\s*")
_ARROW_LINE = re.compile(
    r"^[\s\u2500-\u257f|]*(?:[\u2193\u25bc\u2b07\u21e3\u21e9]\ufe0f?|[|\u2502]|[vV](?=\s|$)|->|-->|=>|\u2192)+\s*(?P<rest>.*)$"
)
_COLUMN = re.compile(r"(?<![:,;])[ \t]{2,}")
_CHARS_MAX = 1_000
_SOURCES = re.compile(
    r"^\W*(?:alert\w*|incident\w*|page[rs]?|pager ?duty|opsgenie|start|trigger\w*|monitoring|detection)"
    r"(?: (?:fires|fired|detected|starts|triggered|declared|opened|created))?\W*$",
    re.IGNORECASE,
)
_FILLING = re.compile(
    r"[()\[\]:]|,(?!\s*[A-Z@#])|\b(?:after|in|within|wait|then|if|not|no|ack\w*|resol\w+|respon\w+|unresolved|still)\b",
    re.IGNORECASE,
)


class Drawings:
    """Reads the drawings of one document's escalation sections."""

    def __init__(self, account: Account, rungs: Rungs) -> None:
        self._account = account
        self._rungs = rungs

    def arrows(self, words: str, line: int, around: About) -> bool:
        """Read ``On-call -> Team lead (30 min) -> Manager``, with or without a level before it."""
        if len(words) > _CHARS_MAX:
            return False
        lead = re.match(r"^([^:\u2192>]{1,20}):\s*(.+)$", words)
        named = self._account.named(lead[1]) if lead else None
        body = lead[2] if lead and named else words
        pieces = [piece for piece in ARROWS.split(clear(body)) if piece.strip(" -")]
        if named is None and len(pieces) >= 2:
            named = self._account.level_alone(pieces[0])
            pieces = pieces[1:] if named is not None else pieces
        if pieces and _SOURCES.match(pieces[0]):
            del pieces[0]
        if (
            named is not None
            and len(pieces) == 1
            and ARROWS.search(body)
            and not VERB.search(words)
        ):
            return self._one(pieces[0], words, line, named)
        if self._times_first(body, words, line, around.with_levels(named)):
            return True
        return len(pieces) >= 2 and self._chain(
            [(piece, line) for piece in pieces], words, around.with_levels(named)
        )

    def _one(self, piece: str, words: str, line: int, named: Named) -> bool:
        """Read ``P0 -> CTO (immediately)``."""
        after_s, roles = delay_of(piece), roles_in(_role_of(piece))
        if after_s is None or not roles or not all(is_role(role) for role in roles):
            return False
        self._account.undeclared(named, line)
        clock = clock_of(words, after_s)
        self._account.ladder.climbs.append(
            Climb(named.levels, clock, after_s, line, roles, None, words)
        )
        self._account.notes.mark(line, LineStatus.AUTOMATED, "escalation path")
        return True

    def _times_first(self, body: str, words: str, line: int, around: About) -> bool:
        """Read ``15 min -> Team lead, 30 min -> Director``."""
        pairs = [ARROWS.split(clear(pair)) for pair in re.split(r"[,;]\s+", body)]
        if not all(len(pair) == 2 and delay_of(pair[0]) is not None for pair in pairs):
            return False
        if not all(not _role_of(pair[0]) and is_role(pair[1].strip()) for pair in pairs):
            return False
        named = around.levels
        self._account.undeclared(named, line)
        for time, who in pairs:
            after_s = delay_of(time) or 0
            levels = named.levels if named else None
            clock = clock_of(time, after_s)
            self._account.ladder.climbs.append(
                Climb(levels, clock, after_s, line, roles_in(who), None, words)
            )
        self._account.notes.mark(line, LineStatus.AUTOMATED, "escalation path")
        return True

    def _chain(self, pieces: list[tuple[str, int]], words: str, around: About) -> bool:
        """Add the roles of a chain, each reached at the time that stands at it or before it."""
        read = [(_role_of(piece), piece, line) for piece, line in pieces]
        roles = [role for role, _, _ in read if role]
        others = [
            role
            for role in roles
            if not roles_in(role) or not all(is_role(one) for one in roles_in(role))
        ]
        if len(roles) < 2 or len(others) > len(roles) // 4 or any(map(_is_other, others)):
            return False
        named = around.levels
        # On one line, "unless resolved" may stand at its end and mean every arrow.
        around_all = words[:_CHARS_MAX] if len({n for _, _, n in read}) == 1 else ""
        is_timed = any(delay_of(piece) is not None for _, piece, _ in read)
        self._account.undeclared(named, read[0][2])
        waiting: int | None = None
        waited = ""
        for role, piece, line in read:
            after_s = delay_of(piece)
            if not role:
                waiting, waited = after_s, piece
                continue
            after_s, said = (waiting, waited) if after_s is None else (after_s, piece)
            waiting, waited = None, ""
            self._account.notes.mark(line, LineStatus.AUTOMATED, "escalation path", again=True)
            if after_s is None and role == roles[0] and is_timed and not self._rungs.is_empty:
                after_s = 0  # of a chain with times, the first is reached at once
            if after_s is None:
                note = re.search(r"\(([^()]+)\)", piece)
                self._rungs.add(role, note[1] if note else "", line, named, in_chain=True)
                continue
            own = self._account.scheme.named_in(piece) or named
            levels = own.levels if own else None
            clock = clock_of(f"{said} {around_all}", after_s)
            self._account.ladder.climbs.append(
                Climb(levels, clock, after_s, line, roles_in(role), None, words)
            )
        return True

    def fence(self, block: Fence, around: About, read_line: ReadLine) -> None:
        """Read a code block that is nothing but a chain, a tree or a list of rules."""
        notes = self._account.notes
        lines = [
            (text, block.body_line + at)
            for at, text in enumerate(block.content.splitlines())
            if text.strip()
        ]
        if block.language in _DRAWN and lines:
            drawn = self._vertical(lines, around) or self._horizontal(lines, around)
            if drawn or self._tree(lines, around, read_line):
                notes.mark(block.line, LineStatus.REFERENCE, "frame of a drawing")
                notes.mark_block(block, LineStatus.REFERENCE, "drawing of the escalation")
                return
        notes.mark_block(block, LineStatus.REFERENCE, "drawing of the escalation")
        scheme = self._account.scheme
        if any(scheme.named_in(x) and (VERB.search(x) or delay_of(x)) for x, _ in lines):
            notes.find(
                "T123",
                block.line,
                1,
                "A code block is not read for rules: nobody is paged by it.",
                "Write it as a list: \u201cP1: if not resolved in 1 hour, page the team lead\u201d.",
            )

    def _vertical(self, lines: list[tuple[str, int]], around: About) -> bool:
        """Read roles one below the other with arrows between."""
        pieces: list[tuple[str, int]] = []
        arrows = 0
        for text, line in lines:
            found = _ARROW_LINE.match(text)
            if found is None:
                pieces.append((text.strip(" |\u2502"), line))
                continue
            arrows += 1
            rest = found["rest"].strip()
            if rest and not (_role_of(rest) == "" or is_role(_role_of(rest))):
                return False
            if rest:
                pieces.append((rest, line))
        if not arrows or len(pieces) < 2:
            return False
        if _SOURCES.match(pieces[0][0]):
            del pieces[0]
        return self._chain([(clear(p), n) for p, n in pieces], "", around)

    def _horizontal(self, lines: list[tuple[str, int]], around: About) -> bool:
        if not all(len(ARROWS.split(text)) > 1 for text, _ in lines):
            return False
        drawn = [self.arrows(text.strip(), line, around) for text, line in lines]
        return all(drawn)

    def _tree(self, lines: list[tuple[str, int]], around: About, read_line: ReadLine) -> bool:
        """Read a tree or a list: every line a level, or a rule, or a role; else nothing of it."""
        bare = [
            (_COLUMN.sub(": ", _BRANCH.sub("", t, count=1).strip(), count=1), n) for t, n in lines
        ]
        if len(lines) > 1 and not all(self._speaks(text) for text, _ in bare):
            return False
        if len(lines) == 1 and not (self._speaks(bare[0][0]) and self._account.named(bare[0][0])):
            return False
        here = around
        for text, line in bare:
            level = self._account.level_alone(text)
            if level is not None and level.levels:
                here = around.with_levels(level)
                self._account.notes.mark(line, LineStatus.REFERENCE, "level of the lines below")
            else:
                read_line(Inline(raw=text, plain=text, line=line, end=line, rest=text), here, True)
        return True

    def _speaks(self, words: str) -> bool:
        if not words or is_told(words) or "[" in words:
            return False
        level = self._account.level_alone(words)
        if level is not None and level.levels:
            return True
        if delay_of(words) is not None:
            return bool(targets_in(words) or VERB.search(words) or is_role(_role_of(words)))
        named = self._account.scheme.named_in(words)
        return (named is not None and VERB.search(words) is not None) or is_role(_role_of(words))


def _is_other(words: str) -> bool:
    """Say whether words that are no known role cannot be one: an act, a sentence."""
    return is_act(words) or VERB.search(words) is not None or not 1 <= len(words.split()) <= 4


def _role_of(piece: str) -> str:
    """Return the role of "Team lead (after 30 min)", or nothing where only a time stands."""
    time = next(iter(moments_of(clear(piece))), None)
    said = clear(piece)
    rest = said if time is None else said[: time.start] + said[time.end :]
    if time is None:
        rest = re.sub(r"\([^()]*\)", " ", rest)
    return " ".join(_FILLING.sub(" ", rest).split()).strip(" -+.>")
