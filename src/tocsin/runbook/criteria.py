"""The criteria of an escalation: lines and sentences that say when to reach whom."""

from __future__ import annotations

import re

from tocsin.core.policy import Clock, Condition, LineStatus
from tocsin.runbook.account import NOTHING, About, Account
from tocsin.runbook.document import Inline
from tocsin.runbook.ladder import Climb
from tocsin.runbook.levels import Named
from tocsin.runbook.phrases import (
    FIRST,
    IMMEDIATE,
    clauses_of,
    clear,
    clock_of,
    condition_of,
    delay_of,
    has_clock,
    is_measured,
    is_plain_order,
    is_promise,
    is_refused,
    is_told,
    moments_of,
    say,
)
from tocsin.runbook.roles import ROLE_WORD, TARGET, VERB, is_act, is_role, roles_in, targets_in
from tocsin.runbook.rungs import Rungs, also_breach, lead_and_rest

_THE_REST = re.compile(r"\b(?:others?|(?:the|all) rest|everything else|remaining)\b", re.IGNORECASE)
_STEP = re.compile(
    r"^\W*(?:level|tier|step|stage|rung|line|layer|phase|escalation)\s*-?\d+"
    r"\s*(?:\((?P<inside>[^()]*)\))?\s*(?:[:\u2013\u2014]|-(?=\s))\s*(?P<rest>.+)$",
    re.IGNORECASE,
)
_PAGED_FIRST = re.compile(
    r"^(?!.*\b(?:if|when|unless|until|once|before|after)\b).*\bfirst\b\W*$", re.IGNORECASE
)
_AROUND_A_TIME = re.compile(
    r"\b(?:after|for|if|when|within|in|and|only|the|an?|of|at|on|more|than|over|another|further|or|later)\b"
    r"|[^\w\s]",
    re.IGNORECASE,
)
_TAIL = re.compile(r"^(?P<role>[^()]{2,60}?)\s*\((?P<inside>[^()]+)\)\W*$")


class Criteria:
    """Reads lines and sentences as climbs of the ladder."""

    def __init__(self, account: Account, rungs: Rungs) -> None:
        self._account = account
        self._rungs = rungs

    def unlabelled(self, text: Inline) -> Inline:
        """Return a line without the number of its rung: "Level 2 (15 min): Team lead"."""
        if any(level.family in ("level", "tier") for level in self._account.scheme.levels):
            return text
        found = _STEP.match(text.plain)
        if found is None:
            return text
        inside = found["inside"] or ""
        plain = f"{found['rest'].strip()} ({inside})" if inside else found["rest"].strip()
        return Inline(raw=text.raw, plain=plain, line=text.line, end=text.end, rest=plain)

    def is_step(self, text: Inline) -> bool:
        """Say whether a line begins with the number of its rung."""
        return self.unlabelled(text) is not text

    def read(self, text: Inline, around: About, in_path: bool) -> bool:
        """Read a line as a criterion; False where it is none."""
        words, line = text.plain, text.line
        account = self._account
        lead, rest = lead_and_rest(text)
        lead, rest, level_lead = self._level_lead(lead, rest, words)
        named = account.scheme.named_in(words) or level_lead or around.levels
        timed = delay_of(words)
        body = rest if level_lead is not None else words
        if timed is None and around.after_s is not None and self._reaches(body):
            self._below(body, words, line, named, around)
            return True
        if timed is None:
            says_so = level_lead is not None or VERB.match(words) is not None
            if not says_so and not (around.levels is not None and VERB.search(words)):
                return False
            return self.untimed(body, words, line, named)
        role_lead = level_lead is None and self._is_role_lead(lead)
        is_first = role_lead and in_path and self._rungs.is_empty and not has_clock(words)
        if is_first and (timed == 0 or named is None or FIRST.search(rest)):
            self._rungs.first_responder(lead, rest, line, timed)
            return True
        if timed and self._left_to_people(body, words, line, named, level_lead, role_lead):
            return True
        if timed and role_lead and self._is_work_of_a_role(rest):
            return False
        whom = roles_in(lead) if role_lead else self.role_with_time(words)
        if named is None and not whom and not self._is_clear(words, lead):
            return False
        if role_lead and in_path and not self._rungs.is_empty:
            # Of the path, and with a time of its own: a criterion that names nobody means it too.
            self._rungs.add(lead, rest, line, around.levels, quiet=True)
        self.add(body, words, line, named, whom, level_lead)
        return True

    def _is_role_lead(self, lead: str) -> bool:
        says_role = bool(lead) and ROLE_WORD.search(lead) is not None
        return says_role and not is_act(lead) and delay_of(lead) is None

    def _is_work_of_a_role(self, rest: str) -> bool:
        """Say whether words tell what a role does, and not when it is reached."""
        if has_clock(rest) or VERB.search(rest) or self._account.scheme.named_in(rest):
            return False
        time = next(iter(moments_of(clear(rest))), None)
        said = clear(rest)
        said = said if time is None else said[: time.start] + said[time.end :]
        return len(_AROUND_A_TIME.sub(" ", said).split()) > 2

    def _left_to_people(
        self,
        body: str,
        words: str,
        line: int,
        named: Named | None,
        level_lead: Named | None,
        role_lead: bool,
    ) -> bool:
        """Account for a time that waits for a measurement, or that somebody only promises."""
        if is_measured(body) and self._says_when(body, named, level_lead):
            self._account.measurement(words, line)
        elif is_promise(body) and (role_lead or not self._reaches(body)):
            self._account.promise(words, line)
        else:
            return False
        self._account.undeclared(named, line)
        return True

    def _is_clear(self, words: str, lead: str) -> bool:
        """Say whether a line without level or role waits for something, and is no piece of work."""
        if is_act(words) and not self._reaches(words):
            return False
        at_once = IMMEDIATE.search(words) and VERB.search(words)
        clear_enough = has_clock(words) or at_once or TARGET.search(words) or VERB.match(words)
        return bool(clear_enough or lead or (targets_in(words) and self._is_bare(words)))

    def _is_bare(self, words: str) -> bool:
        """Say whether words are a role and a time, and hardly anything besides."""
        said = clear(words)
        for moment in reversed(moments_of(said)):
            said = said[: moment.start] + " " + said[moment.end :]
        for role in targets_in(words):
            said = said.replace(role, " ")
        return len(_AROUND_A_TIME.sub(" ", said).split()) <= 1

    def sentence(self, words: str, line: int, around: About) -> None:
        """Read one sentence of prose; what is no rule is left alone."""
        account = self._account
        if not VERB.search(words) or is_told(words):
            return
        named = account.scheme.named_in(words) or around.levels
        target = TARGET.search(words) is not None or bool(targets_in(words))
        timed = delay_of(words)
        if is_refused(words):
            return
        if timed is None and _PAGED_FIRST.search(words) and targets_in(words):
            levels = named.levels if named else None
            account.ladder.climbs.append(
                Climb(levels, Clock.IMMEDIATE, 0, line, targets_in(words), None, words)
            )
            account.notes.mark(line, LineStatus.AUTOMATED, "escalation criterion")
            return
        if timed and is_measured(words):
            account.measurement(words, line)
        elif timed is not None and (target or named) and (has_clock(words) or named):
            self.add(words, words, line, named, ())
        elif (target and has_clock(words)) or (named and VERB.match(words)):
            account.not_carried(words, line, around)

    def add(
        self,
        body: str,
        words: str,
        line: int,
        named: Named | None,
        whom: tuple[str, ...],
        level_lead: Named | None = None,
    ) -> None:
        """Add what a timed line says: one climb for each time in it."""
        account = self._account
        account.undeclared(named, line)
        account.short_form(named, line)
        condition = condition_of(words) if named is None else None
        to = whom
        clauses = [(clause, self._leading(clause)) for clause in clauses_of(clear(body))]
        levels = named.levels if named else self._others(words)
        if level_lead is not None and any(own is not None for _, own in clauses):
            levels = level_lead.levels
        for clause, own in clauses:
            after_s = delay_of(clause) or 0
            self._two_times(clause, after_s, line)
            to = (whom if len(clauses) == 1 else ()) or targets_in(clause) or to
            levels = levels if own is None else own.levels
            account.ladder.climbs.append(
                Climb(
                    levels=levels,
                    clock=clock_of(clause, after_s),
                    after_s=after_s,
                    line=line,
                    to=to,
                    condition=condition,
                    words=words,
                )
            )
        if named is not None and also_breach(words, named) and to:
            last = account.ladder.climbs[-1]
            account.ladder.climbs.append(
                Climb(None, Clock.EVENT, last.after_s, line, to, Condition.SECURITY_BREACH, words)
            )
        account.notes.mark(line, LineStatus.AUTOMATED, "escalation criterion")

    def untimed(
        self, body: str, words: str, line: int, named: Named | None, whom: tuple[str, ...] = ()
    ) -> bool:
        """Account for a criterion that gives no time; at once is the reading that loses nobody.

        What waits for something that nothing here can see is left to a person.
        """
        account = self._account
        if named is None:
            return False
        to = whom or targets_in(body)
        condition = condition_of(body)
        if condition is not None and (VERB.search(body) or whom):
            account.undeclared(named, line)
            account.ladder.climbs.append(
                Climb(named.levels, Clock.EVENT, 0, line, to, condition, words)
            )
            return True
        waits = has_clock(body) and (VERB.search(body) or to) and not is_measured(body)
        if not waits and not is_plain_order(body):
            account.undeclared(named, line)
            account.note_not_carried(words, line, named.levels, to)
            return True
        account.undeclared(named, line)
        account.short_form(named, line)
        account.ladder.climbs.append(
            Climb(named.levels, Clock.IMMEDIATE, 0, line, to, None, words, untimed=True)
        )
        account.notes.mark(line, LineStatus.AUTOMATED, "escalation criterion, read as at once")
        return True

    def cell(self, words: str, line: int, named: Named) -> None:
        """Read what a level's own line or cell says of whom to reach: "CTO after 15 min"."""
        if is_told(words) or is_refused(words):
            self._account.not_carried(words, line, About(named))
            return
        if delay_of(words) is not None and not is_promise(words):
            whom = self.role_with_time(words)
            if whom or targets_in(words) or VERB.search(words):
                self.add(words, words, line, named, whom)
        elif self._reaches(words):
            self.untimed(words, words, line, named)

    def condition_of_a_target(self, text: Inline, around: About) -> None:
        """Read a line that says when to reach those whom the words around it name."""
        words, line = text.plain, text.line
        named = self._account.scheme.named_in(words) or around.levels
        event = condition_of(words)
        if delay_of(words) is not None and is_measured(words):
            self._account.measurement(words, line)
        elif delay_of(words) is not None and not is_promise(words):
            self.add(words, words, line, named, targets_in(words) or around.to)
        elif event is not None:
            levels = named.levels if named else None
            self._account.ladder.climbs.append(
                Climb(levels, Clock.EVENT, 0, line, around.to, event, words)
            )
        else:
            levels = named.levels if named else ()
            self._account.note_not_carried(words, line, levels, around.to, end=text.end)

    def _below(self, body: str, words: str, line: int, named: Named | None, around: About) -> None:
        """Add a line that reaches somebody at the time that the words around it give."""
        assert around.after_s is not None  # the caller asked
        account = self._account
        account.undeclared(named, line)
        account.short_form(named, line)
        levels = named.levels if named else None
        clock = around.clock or clock_of(body, around.after_s)
        to = targets_in(body) or roles_in(body)
        account.ladder.climbs.append(Climb(levels, clock, around.after_s, line, to, None, words))
        account.notes.mark(line, LineStatus.AUTOMATED, "escalation criterion")

    def _level_lead(self, lead: str, rest: str, words: str) -> tuple[str, str, Named | None]:
        """Return the lead, what follows it, and the levels that the lead names."""
        account = self._account
        named = account.named(lead) if lead else None
        if named is not None and (delay_of(lead) is not None or has_clock(lead)):
            # "P1 > 30 minutes: Director": the lead is the condition, all of it counts.
            return "", words, None
        if named is None and (found := re.match(r"^(.{1,16}?)\s+[\u2013\u2014-]\s+(.+)$", words)):
            named = account.named(found[1])
            if named is not None:
                lead, rest = found[1], found[2]
        return lead, rest, named

    def _reaches(self, words: str) -> bool:
        """Say whether words reach somebody: by an order, or by being nothing but roles."""
        if is_refused(words) or is_told(words):
            return False
        if VERB.search(words) and targets_in(words):
            return True
        roles = roles_in(words.strip(" .:"))
        return bool(roles) and all(is_role(role) for role in roles)

    def _says_when(self, body: str, named: Named | None, level_lead: Named | None) -> bool:
        """Say whether the measurement is what a line waits for, and no name of a trouble."""
        if level_lead is not None or named is None:
            return True
        return re.search(r"\b(?:if|when|for)\b", body, re.IGNORECASE) is not None

    def role_with_time(self, words: str) -> tuple[str, ...]:
        """Return the roles of "Team lead (after 15 min)", or nobody."""
        found = _TAIL.match(words)
        if found is None or delay_of(found["inside"]) is None:
            return ()
        roles = roles_in(found["role"])
        return roles if all(is_role(role) for role in roles) else ()

    def _two_times(self, clause: str, after_s: int, line: int) -> None:
        if len({moment.after_s for moment in moments_of(clause) if moment.after_s}) > 1:
            self._account.notes.find(
                "T130",
                line,
                1,
                f"Two times stand here for one page; the sooner counts: after {say(after_s)}.",
                "Leave one, or write a line for each.",
            )

    def _leading(self, clause: str) -> Named | None:
        found = re.match(r"^\W*(.{1,16}?)\s*[:\u2013\u2014-]\s", clause)
        return self._account.scheme.named_in(found[1]) if found else None

    def _others(self, words: str) -> tuple[str, ...] | None:
        """Return the levels that no criterion above speaks of, for "all others"; else None: all."""
        if not _THE_REST.search(words):
            return None
        above = {level for climb in self._account.ladder.climbs for level in climb.levels or ()}
        return tuple(level for level in self._account.scheme.words if level not in above)


def time_around(words: str) -> About:
    """Return the time that a heading or a lead-in sets for what stands below it."""
    after_s = delay_of(words)
    if after_s is None or is_measured(words) or is_promise(words) or is_told(words):
        return NOTHING
    says_when = (
        has_clock(words)
        or re.search(
            r"\bafter\b|\bT\s*\+|^\W*\+?\d|[>+]\s*\d|\d\s*\+|\bescalat", words, re.IGNORECASE
        )
        or (after_s == 0 and len(words.split()) <= 4)
    )
    if not says_when or re.search(r"\b(?:first|initial|every)\b|<", words, re.IGNORECASE):
        return NOTHING
    return About(None, after_s, clock_of(words, after_s))
