"""The path of an escalation: its roles in order, each with the incidents it is for."""

from __future__ import annotations

import re

from tocsin.core.policy import Clock, Condition, LineStatus
from tocsin.runbook.account import About, Account
from tocsin.runbook.document import Inline
from tocsin.runbook.holes import report_event
from tocsin.runbook.ladder import Climb, Rung
from tocsin.runbook.levels import Named
from tocsin.runbook.phrases import BREACH, FIRST, condition_of
from tocsin.runbook.roles import BLANK, ROLE_WORD, VERB, is_act, is_audience, is_role, roles_in

_JOINS = re.compile(r"^\s*(?:,|\+|&|/|\band\b|\bor\b)")
_WHOLE_LEAD = re.compile(
    r"^(.{2,80}?)(?:\s*:\s*|\s+[\u2013\u2014-]\s+|\s*(?=\()|\s+(?=for\s))(.+)$"
)


def lead_and_rest(text: Inline) -> tuple[str, str]:
    """Return the roles or levels before the colon, all of "**CTO** and **Legal**:", and the rest."""
    joined = text.lead and _JOINS.match(text.plain[len(text.lead) :])
    if not joined:
        return text.before_colon, text.after_colon if text.before_colon else ""
    found = _WHOLE_LEAD.match(text.plain)
    return (found[1], found[2]) if found else (text.plain, "")


def also_breach(words: str, named: Named) -> bool:
    """Say whether words name levels and, beside them, a breach: "P0 incidents and data breaches"."""
    breach = BREACH.search(words)
    at = words.find(named.words) if named.words else -1
    if breach is None or at < 0:
        return False
    between = words[at + len(named.words) : breach.start()] or words[breach.end() : at]
    return re.search(r"\band\b|\bor\b|[,;/+&]", between) is not None


class Rungs:
    """Reads the items of the path.

    While it ``is_outside``, below a heading about people outside, nobody is a first responder.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self.is_outside = False

    @property
    def is_empty(self) -> bool:
        """Say whether no rung was read yet, so that the next is the first responder."""
        return not self._account.ladder.rungs

    def read(self, text: Inline, around: About, in_path: bool) -> bool:
        """Read an item as a role of the path; False where it is none."""
        role, rest = lead_and_rest(text)
        if not role:
            role, rest = self._role_and_rest(text.plain) if in_path else ("", "")
            found = re.match(r"^(.{2,60}?)\s+[\u2013\u2014-]\s+(.+)$", text.plain) or re.match(
                r"^([^()]{2,60}?)\s*\(([^()]+)\)\s*$", text.plain
            )
            if found is None and (comma := re.match(r"^([^,()]{2,40}),\s+(.+)$", text.plain)):
                found = comma if is_role(comma[1]) and not is_role(comma[2]) else None
            if found:
                role, rest = found[1], found[2]
        if not role or is_act(role) or is_audience(role) or VERB.match(role):
            return False
        if any(len(one.split()) > 6 for one in roles_in(role)):
            return False
        if not ROLE_WORD.search(role) and not (in_path and self._is_rung(role, rest)):
            return False
        self.add(role, rest, text.line, around.levels)
        return True

    def first_responder(self, lead: str, rest: str, line: int, after_s: int) -> None:
        """Read the path's first role with a time: a promise of theirs, nothing to wait for."""
        self.add(lead, rest, line, None)
        if after_s:
            self._account.promise(rest, line, " of the first responder")
            return
        levels = self._account.scheme.named_in(rest)
        self._account.ladder.climbs.append(
            Climb(
                levels.levels if levels else None, Clock.IMMEDIATE, 0, line, roles_in(lead),
                None, f"{lead}: {rest}",
            )
        )  # fmt: skip

    def add(
        self,
        role: str,
        rest: str,
        line: int,
        about: Named | None,
        *,
        quiet: bool = False,
        in_chain: bool = False,
    ) -> None:
        """Add every role that an item of the path names, all for the same levels.

        ``quiet`` leaves the findings to the criterion that the same item is; ``in_chain`` says that
        an arrow leads here, so that the role is no one to reach at once.
        """
        account = self._account
        named = (account.named(rest) if rest else None) or about
        condition = condition_of(rest) if named is None else None
        if quiet and condition is not None:
            return
        if not quiet:
            account.undeclared(named, line)
            account.short_form(named, line)
        if BLANK.match(role):
            account.notes.find(
                "T124", line, role, f"\u201c{role}\u201d names nobody.", "Write the role down."
            )
        roles = roles_in(role) or (role,)
        also = Condition.SECURITY_BREACH if named and also_breach(rest, named) else None
        first = self.is_empty and not self.is_outside
        for one in roles:
            levels = named.levels if named else None
            account.ladder.rungs.append(
                Rung(one, levels, line, first, condition, in_chain and not first)
            )
            if also is not None:
                account.ladder.rungs.append(Rung(one, None, line, first=False, condition=also))
        if condition is not None:
            report_event("rung", condition, roles, rest, line, account.notes)
        else:
            if also is not None:
                report_event("rung", also, roles, rest, line, account.notes)
            account.notes.mark(
                line, LineStatus.AUTOMATED, "rung of the escalation path", again=also is not None
            )

    def _role_and_rest(self, words: str) -> tuple[str, str]:
        """Part "Team lead for P1+ incidents" where a level or an event begins."""
        scheme = self._account.scheme
        found = re.match(
            r"^(?P<role>.{2,60}?),?\s+(?P<rest>(?:for|if|when|in case of|during)\s.+)$", words
        )
        if found and (scheme.named_in(found["rest"]) or condition_of(found["rest"])):
            return found["role"], found["rest"]
        named = scheme.named_in(words)
        if named is not None and named.words and not named.is_all:
            at = words.find(named.words)
            if at > 2:
                return words[:at].strip(" ,("), words[at:]
        return words, ""

    def _is_rung(self, role: str, rest: str) -> bool:
        named = self._account.scheme.named_in(rest)
        return bool(FIRST.search(rest) or named or condition_of(rest) or BLANK.match(role))
