"""Tables of an escalation, by what their headers mean: times, roles, levels, or levels by roles."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tocsin.core.policy import LineStatus
from tocsin.runbook.account import About, Account
from tocsin.runbook.criteria import Criteria
from tocsin.runbook.document import Table
from tocsin.runbook.ladder import Climb
from tocsin.runbook.levels import Named
from tocsin.runbook.phrases import (
    FIRST,
    clock_of,
    condition_of,
    delay_of,
    has_clock,
    is_measured,
    is_refused,
    is_some_day,
    is_told,
)
from tocsin.runbook.roles import BLANK, ROLE_WORD, VERB, is_audience, is_role, roles_in, targets_in
from tocsin.runbook.rungs import Rungs

_NEVER = re.compile(
    r"^\W*(?:no|never|none|n/?a|not (?:paged|notified|applicable|required|needed))?\W*$",
    re.IGNORECASE,
)
_TICKED = re.compile(
    r"^\W*(?:x|yes|y|[\u2713\u2714\u2705\u2611]\ufe0f?|page[ds]?|notif\w+|always)\W*$",
    re.IGNORECASE,
)
_SEVERITY = re.compile(
    r"severity|priority|\bsev\b|incident level|^level$|^class(?:ification)?$|^p-?level$",
    re.IGNORECASE,
)
_ESCALATION = re.compile(r"^\W*escalat(?:ion|e)\W*$", re.IGNORECASE)
_WHOM = re.compile(
    r"escalat\w* to|\bnotif(?:y|ied)\b|\bpaged?\b|\bwho(?:m)?\b|responsible|owner|target|assignee",
    re.IGNORECASE,
)
_ROLE = re.compile(r"role|person|position|team|title|responder|engineer", re.IGNORECASE)
_CONTACT = re.compile(
    r"contact|phone|e-?mail|channel|method|slack|handle|reach|how\b|tool", re.IGNORECASE
)
_WHEN = re.compile(
    r"time|after|when|trigger|condition|criteria|if\b|action|delay|elapsed|duration|situation|threshold"
    r"|\bcases?\b",
    re.IGNORECASE,
)
_PROMISE = re.compile(
    r"respond|response|resol|\bsla\b|\bslo\b|update|frequen|cadence|\bmtt|acknowledge?ment",
    re.IGNORECASE,
)
_HOURS = re.compile(
    r"availab|\bhours?\b(?!\))|coverage|business|time ?zone|location|backup", re.IGNORECASE
)
_AREA = re.compile(
    r"\b(?:issue|incident|problem|alert) types?\b|^types?$|area|component|system|service|categor|domain|kind"
    r"|subject|topic",
    re.IGNORECASE,
)
_TIER = re.compile(r"^\W*(?:tier|level|l|step|stage|line)\s*-?\d\W*$", re.IGNORECASE)
_WHO_ROW = re.compile(r"\bwho\b|role|contact|person|team|responder|owner", re.IGNORECASE)


class Columns:
    """Which column of a table says what."""

    def __init__(self, header: Sequence[str]) -> None:
        self.severity = _hits(header, _SEVERITY)
        self.hours = [i for i in _hits(header, _HOURS) if delay_of(header[i]) is None]
        self.promises = [i for i in _hits(header, _PROMISE) if not _is_climb(header[i])]
        aside = {*self.severity, *self.hours, *self.promises}
        whom = [i for i in _hits(header, _WHOM) if i not in aside and not _WHEN.match(header[i])]
        roles = [i for i in _hits(header, _ROLE) if i not in aside and i not in whom]
        contacts = [i for i in _hits(header, _CONTACT) if i not in {*aside, *whom, *roles}]
        escalation = [i for i in _hits(header, _ESCALATION) if i not in aside]
        self.named = whom + ([] if roles or whom else escalation)
        self.role = whom + roles or escalation or contacts
        self.details = [i for i in contacts if i not in self.role]
        when = [i for i in _hits(header, _WHEN) if i not in {*aside, *self.role, *self.details}]
        self.when = when + [i for i in escalation if i not in self.role]
        self.area = bool(header) and _AREA.search(header[0]) is not None

    @property
    def aside(self) -> set[int]:
        """Return the columns that decide nothing: hours, promises, telephone numbers."""
        return {*self.hours, *self.promises, *self.details}


def speaks_of_escalation(table: Table) -> bool:
    """Say whether a header says that this table is about whom to reach, and a column of whom."""
    header = [cell.plain for cell in table.header]
    escalates = any(re.search(r"\bescalat", cell, re.IGNORECASE) for cell in header)
    return escalates and any(
        ROLE_WORD.search(cell.plain) for row in table.rows for cell in row.cells[:3]
    )


def is_matrix(table: Table, account: Account) -> bool:
    """Say whether a table has roles as rows, levels as columns, and times in its cells."""
    levels = [
        i
        for i, cell in enumerate(table.header)
        if i and (named := account.level_alone(cell.plain)) is not None and named.levels
    ]
    rows = [row for row in table.rows if row.cells and ROLE_WORD.search(row.cells[0].plain)]
    timed = [row for row in rows if any(delay_of(row.cells[i].plain) for i in levels)]
    return len(levels) >= 2 and len(timed) * 2 >= len(table.rows) > 1


class Tables:
    """Reads the tables of one document's escalation sections."""

    def __init__(self, account: Account, rungs: Rungs, criteria: Criteria) -> None:
        self._account = account
        self._rungs = rungs
        self._criteria = criteria

    def read(self, table: Table, around: About) -> None:
        """Read a table row by row; what is understood of none is accounted for."""
        header = [cell.plain for cell in table.header]
        matrix = {
            i: named
            for i, h in enumerate(header)
            if i and (named := self._account.level_alone(h)) is not None and named.levels
        }
        timed = {
            i: d
            for i, h in enumerate(header)
            if i not in matrix
            and (d := delay_of(h)) is not None
            and (has_clock(h) or not _PROMISE.search(h))
        }
        columns = Columns(header)
        if self._tiers(table, header, around):
            return
        understood = False
        for row in table.rows:
            cells = [cell.plain for cell in row.cells] + [""] * len(header)
            if len(matrix) >= 2:
                read = self._matrix(cells, matrix, row.line)
            elif timed:
                read = self._timed_cells(cells, header, timed, columns, row.line)
            elif len(self._steps(cells, columns)) >= 2:
                read = self._step_cells(cells, columns, row.line, around)
            else:
                read = self._cells(cells, columns, row.line, around)
            understood = understood or read
            if not read:
                self._account.not_carried(" | ".join(c for c in cells if c), row.line, around)
        if understood:
            self._account.notes.mark(
                table.line, LineStatus.REFERENCE, "table header", end=table.line + 1
            )

    def _tiers(self, table: Table, header: list[str], around: About) -> bool:
        """Read a table whose columns are the steps of one ladder, with a row of roles and of times."""
        if len(header) < 3 or not all(_TIER.match(title) for title in header[1:]):
            return False
        by_title = {row.cells[0].plain: row for row in table.rows if row.cells}
        who = next((row for title, row in by_title.items() if _WHO_ROW.search(title)), None)
        when = next(
            (
                row
                for title, row in by_title.items()
                if row is not who and _WHEN.search(title) and not _PROMISE.search(title)
            ),
            None,
        )
        if who is None or when is None:
            return False
        for role, time in zip(who.cells[1:], when.cells[1:], strict=False):
            after_s = delay_of(time.plain)
            if after_s is not None:
                self._climb(around.levels, after_s, roles_in(role.plain), time.plain, who.line)
        self._account.notes.mark_block(table, LineStatus.REFERENCE, "unread row of the ladder")
        for row in (who, when):
            self._account.notes.mark(row.line, LineStatus.AUTOMATED, "escalation path", again=True)
        return True

    def _matrix(self, cells: list[str], matrix: dict[int, Named], line: int) -> bool:
        """Read a row of roles by levels: each cell says when, or merely that.

        Where the row begins with a time, each cell says whom.
        """
        if not cells[0] or BLANK.match(cells[0]):
            return False
        row_after_s = None if ROLE_WORD.search(cells[0]) else delay_of(cells[0])
        if row_after_s is None and is_audience(cells[0]):
            self._account.notes.mark(line, LineStatus.HUMAN, "people outside are told, not paged")
            return True
        read = False
        for i, named in matrix.items():
            cell = cells[i]
            if _TICKED.match(cell) is None and _NEVER.match(cell):
                read = True
            elif row_after_s is not None:
                read = self._climb(named, row_after_s, roles_in(cell), cells[0], line) or read
            else:
                read = self._when(cells[0], cell, named, line) or read
        if read:
            self._account.notes.mark(line, LineStatus.AUTOMATED, "escalation criterion", again=True)
        return read

    def _when(self, role: str, cell: str, named: Named, line: int) -> bool:
        after_s = delay_of(cell)
        starred = cell.rstrip().endswith("*")
        if starred or (after_s is None and _TICKED.match(cell) is None):
            words = f"{role}, {named.levels[0]}: {cell}"
            self._account.note_not_carried(words, line, named.levels, roles_in(role))
            return False
        return self._climb(named, after_s or 0, roles_in(role), cell, line)

    def _climb(
        self, named: Named | None, after_s: int, to: tuple[str, ...], words: str, line: int
    ) -> bool:
        if not to:
            return False
        levels = named.levels if named else None
        clock = clock_of(words, after_s)
        self._account.ladder.climbs.append(Climb(levels, clock, after_s, line, to, None, words))
        return True

    def _timed_cells(
        self,
        cells: list[str],
        header: list[str],
        timed: dict[int, int],
        columns: Columns,
        line: int,
    ) -> bool:
        named = self._first_named(cells, columns.severity or [0])
        read = False
        for i, after_s in timed.items():
            who = cells[i]
            if BLANK.match(who) or _NEVER.match(who):
                read = read or bool(who)
            elif not is_audience(who):
                read = self._climb(named, after_s, roles_in(who), header[i], line) or read
        for i, title in enumerate(header):
            # Beside the timed columns, that of the first responder is at once.
            if i not in timed and i not in columns.severity and FIRST.search(title):
                who = cells[i]
                if ROLE_WORD.search(who) and not BLANK.match(who):
                    read = self._climb(named, 0, roles_in(who), title, line) or read
        if read:
            self._account.undeclared(named, line)
            self._account.notes.mark(line, LineStatus.AUTOMATED, "escalation criterion")
        return read

    def _steps(self, cells: list[str], columns: Columns) -> list[tuple[tuple[str, ...], int]]:
        """Return the roles and times of the cells that are both: "Lead (15m)"; a first role alone."""
        steps: list[tuple[tuple[str, ...], int]] = []
        for i, cell in enumerate(cells):
            if not cell or i in columns.severity or i in columns.aside or VERB.search(cell):
                continue
            roles = self._criteria.role_with_time(cell)
            if roles:
                steps.append((roles, delay_of(cell) or 0))
            elif not steps and is_role(cell):
                steps.append((roles_in(cell), 0))
        return steps if any(self._criteria.role_with_time(cell) for cell in cells) else []

    def _step_cells(self, cells: list[str], columns: Columns, line: int, around: About) -> bool:
        """Read a row whose cells are the steps of its level's ladder."""
        named = self._first_named(cells, columns.severity or [0]) or around.levels
        self._account.undeclared(named, line)
        for roles, after_s in self._steps(cells, columns):
            self._climb(named, after_s, roles, " | ".join(cells).strip(" |"), line)
        self._account.notes.mark(line, LineStatus.AUTOMATED, "escalation criterion")
        return True

    def _cells(self, cells: list[str], columns: Columns, line: int, around: About) -> bool:
        row = " ".join(c for i, c in enumerate(cells) if c and i not in columns.aside)
        if is_told(row) or is_refused(row) or self._is_no_ladder(columns):
            return False
        when = " ".join(cells[i] for i in columns.when if cells[i])
        of_level = self._first_named(cells, columns.severity)
        named = of_level or self._account.scheme.named_in(row) or around.levels
        who, targets = self._whom(cells, columns, when, row)
        timed = delay_of(when) if when else None
        timed = delay_of(row) if timed is None else timed
        if row.rstrip().endswith("*") or (when and is_some_day(when)):
            return False
        if timed is None:
            waits = of_level is not None and when not in ("", who) and has_clock(when)
            if who and not waits and all(len(one.split()) <= 6 for one in roles_in(who)):
                rest = when or row.replace(who, "")
                self._rungs.add(who, rest, line, of_level or around.levels)
                return True
            return self._criteria.untimed(when or row, row, line, named, targets)
        if timed and is_measured(when or row):
            self._account.measurement(row, line)
            return True
        if not targets and not VERB.search(row) and not has_clock(row) and not of_level:
            return False
        self._account.undeclared(named, line)
        condition = condition_of(when) if named is None else None
        levels = named.levels if named else None
        clock = clock_of(when or row, timed)
        self._account.ladder.climbs.append(
            Climb(levels, clock, timed, line, targets, condition, row)
        )
        self._account.notes.mark(line, LineStatus.AUTOMATED, "escalation criterion")
        return True

    def _whom(
        self, cells: list[str], columns: Columns, when: str, row: str
    ) -> tuple[str, tuple[str, ...]]:
        """Return the cell of the role, and the roles that the row reaches."""
        roles = [cells[i] for i in columns.role if ROLE_WORD.search(cells[i])]
        who = next((cell for cell in roles if delay_of(cell) is None and not VERB.search(cell)), "")
        targets = roles_in(who) if who else targets_in(when) or targets_in(row)
        if not targets and not who:
            # Under "Escalate to" any few words are somebody: "All hands".
            said = [cells[i] for i in columns.named if cells[i] and not is_audience(cells[i])]
            if said and len(said[0].split()) <= 4 and not BLANK.match(said[0]):
                targets = (said[0],) if delay_of(said[0]) is None else ()
        return who, targets

    def _is_no_ladder(self, columns: Columns) -> bool:
        """Say whether a table says who looks after what, or when: no path from one to the next."""
        if columns.when or columns.severity or columns.named:
            return False
        return columns.area

    def _first_named(self, cells: list[str], columns: list[int]) -> Named | None:
        return next((n for i in columns if (n := self._account.named(cells[i]))), None)


def _hits(header: Sequence[str], pattern: re.Pattern[str]) -> list[int]:
    return [i for i, words in enumerate(header) if pattern.search(words)]


def _is_climb(words: str) -> bool:
    return has_clock(words) or re.search(r"escalat", words, re.IGNORECASE) is not None
