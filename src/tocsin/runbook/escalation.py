"""Reads the escalation sections of a document: the path, and the criteria for climbing it.

Lists, tables, drawings and prose all end as rungs and climbs of one ladder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from tocsin.core.policy import LineStatus
from tocsin.runbook.account import NOTHING, About, Account
from tocsin.runbook.criteria import Criteria, time_around
from tocsin.runbook.document import (
    Block,
    Fence,
    Inline,
    Item,
    Listing,
    Paragraph,
    Section,
    Table,
    rows_of,
)
from tocsin.runbook.drawings import Drawings
from tocsin.runbook.escalation_tables import Tables, is_matrix, speaks_of_escalation
from tocsin.runbook.ladder import Ladder, Rung
from tocsin.runbook.levels import Named, Scheme, declared_in, declared_in_cell
from tocsin.runbook.notes import Notes
from tocsin.runbook.phrases import ABOUT_PATH, ARROWS, delay_of, is_refused, is_told
from tocsin.runbook.roles import BLANK, ROLE_WORD, TARGET, VERB, is_act, is_role, targets_in
from tocsin.runbook.rungs import Rungs
from tocsin.runbook.severity import CLIMBS

_OUTSIDE = re.compile(r"privilege escalation|escalation of privileges|de-?escalat", re.IGNORECASE)


def read_escalation(section: Section, scheme: Scheme, ladder: Ladder, notes: Notes) -> None:
    """Add to ``ladder`` what a section and those below it say."""
    _Reader(Account(scheme, ladder, notes)).section(section, NOTHING)


def read_escalation_tables(section: Section, scheme: Scheme, ladder: Ladder, notes: Notes) -> None:
    """Add what the section's own tables say whose header is about escalation: a list of contacts."""
    reader = _Reader(Account(scheme, ladder, notes))
    for block in section.blocks:
        if isinstance(block, Table) and speaks_of_escalation(block):
            reader.block(block, NOTHING, is_path=True)


def read_escalation_matrices(
    section: Section, scheme: Scheme, ladder: Ladder, notes: Notes
) -> None:
    """Add what tables of roles by levels say in a section about telling people, and below it."""
    account = Account(scheme, ladder, notes)
    reader = _Reader(account)
    for inner in section.walk():
        for block in inner.blocks:
            if isinstance(block, Table) and is_matrix(block, account):
                reader.block(block, NOTHING, is_path=False)


def read_level_escalation(section: Section, scheme: Scheme, ladder: Ladder, notes: Notes) -> None:
    """Add what a section that declares levels says, level by level, about whom to reach."""
    reader = _Reader(Account(scheme, ladder, notes))
    for inner in section.walk():
        reader.levels(inner)


class _Reader:
    """Reads the blocks of one document's escalation sections."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._rungs = Rungs(account)
        self._criteria = Criteria(account, self._rungs)
        self._tables = Tables(account, self._rungs, self._criteria)
        self._drawings = Drawings(account, self._rungs)

    def section(self, section: Section, around: About) -> None:
        if _OUTSIDE.search(section.title.plain):
            return
        here = self._around(section.title.plain, around)
        self._rungs.is_outside = re.search(r"\bexternal\b", section.title.plain, re.I) is not None
        for group in section.groups():
            title = f"{section.title.plain} {group.label}"
            is_path = ABOUT_PATH.search(title) is not None
            about = self._around(group.label, here) if group.label else here
            self._blocks(group.blocks, about, is_path)
        ladder = self._account.ladder
        for inner in section.sections:
            role = self._role_of_heading(inner)
            rungs, climbs = len(ladder.rungs), len(ladder.climbs)
            if role is not None:
                self._rungs.read(role, here, in_path=True)
            refused = len(ladder.not_carried)
            self.section(inner, here)
            if role is not None and len(ladder.rungs) > rungs:
                self._of_the_role(ladder.rungs[rungs : rungs + 1], climbs, refused)

    def _role_of_heading(self, section: Section) -> Inline | None:
        """Return a heading that is a role of the path: "Level 2: Team lead"."""
        text = self._criteria.unlabelled(section.title)
        words = re.sub(r"\([^()]*\)", "", text.plain).strip()
        return text if is_role(words) and not ABOUT_PATH.search(words) else None

    def _of_the_role(self, own: Sequence[Rung], climbs: int, refused: int) -> None:
        """Give the times below a role to it; what it does or promises is no rule gone wrong."""
        ladder = self._account.ladder
        for climb in ladder.climbs[climbs:]:
            if not climb.to:
                climb.to = tuple(rung.role for rung in own)
                climb.levels = own[0].levels if climb.levels is None else climb.levels
        for line in ladder.not_carried[refused:]:
            if not line.to:
                note = "about the role above"
                self._account.notes.mark(line.line, LineStatus.REFERENCE, note, again=True)
                ladder.not_carried.remove(line)

    def levels(self, section: Section) -> None:
        """Read what a level's heading, table or list says of whom to reach for it."""
        own = self._level_of(section.title.plain)
        for group in section.groups():
            named = own or (self._level_of(group.label) if group.label else None)
            climbs = CLIMBS.search(group.label) is not None and own is not None
            for block in group.blocks:
                if isinstance(block, Table):
                    self._level_table(block)
                elif isinstance(block, Paragraph):
                    self._level_line(block.text, named, climbs)
                else:
                    for item, _ in rows_of((block,)):
                        self._level_item(item, named, climbs)

    def block(self, block: Block, around: About, is_path: bool) -> None:
        if isinstance(block, Listing):
            for item in block.items:
                self._item(item, around, is_path)
        elif isinstance(block, Table):
            self._tables.read(block, around)
        elif isinstance(block, Paragraph):
            self._paragraph(block, around, is_path)
        elif isinstance(block, Fence):
            self._drawings.fence(block, around, self._line)

    def _blocks(self, blocks: Sequence[Block], around: About, is_path: bool) -> None:
        led: About | None = None
        for at, block in enumerate(blocks):
            following = blocks[at + 1] if at + 1 < len(blocks) else None
            if isinstance(block, Paragraph) and isinstance(following, Listing):
                led = self._lead_in(block.text, around)
                if led is not None:
                    mark = "time of the lines below"
                    self._account.notes.mark_block(block, LineStatus.REFERENCE, mark)
                    continue
            here = led if led is not None and isinstance(block, Listing) else around
            led = None
            self.block(block, here, is_path)

    def _lead_in(self, text: Inline, around: About) -> About | None:
        """Return what a lead-in sets for the list below it: a time, or whom to reach.

        "If not resolved in 15 minutes:" and "Page the director if:" are lead-ins.
        """
        if not text.plain.rstrip().endswith(":"):
            return None
        if TARGET.search(text.plain):
            return self._target_above(text.plain, around)
        led = time_around(text.plain)
        if led.after_s is None:
            return None
        return led.with_levels(self._account.scheme.named_in(text.plain) or around.levels)

    def _target_above(self, words: str, around: About) -> About | None:
        waits = re.search(r"\b(?:if|when|whenever|in case|once|where)\b", words, re.IGNORECASE)
        to = targets_in(words)
        if waits is None or delay_of(words) is not None or is_refused(words):
            return None
        if not to or not all(is_role(role) for role in to):
            return None
        named = self._account.scheme.named_in(words)
        return msgspec.structs.replace(around.with_levels(named), to=to)

    def _around(self, words: str, outer: About) -> About:
        """Return what a heading or a label is about: "P1", "Path for P0/P1", "After 30 minutes"."""
        time = time_around(words)
        if time.after_s is not None:
            outer = msgspec.structs.replace(outer, after_s=time.after_s, clock=time.clock)
        elif TARGET.search(words) and (above := self._target_above(words, outer)) is not None:
            outer = above
        return outer.with_levels(self._level_of(words))

    def _level_of(self, words: str) -> Named | None:
        if not re.search(r"\d", words) and declared_in(words) is None:
            return None
        named = self._account.scheme.named_in(words)
        return named if named is not None and named.levels and not named.is_all else None

    def _level_table(self, table: Table) -> None:
        header = [cell.plain for cell in table.header]
        whom = [i for i, title in enumerate(header) if CLIMBS.search(title)]
        for row in table.rows if whom else ():
            cells = [cell.plain for cell in row.cells] + [""] * len(header)
            declared = next(
                (d for c, h in zip(cells, header, strict=False) if (d := declared_in_cell(c, h))),
                None,
            )
            named = self._account.scheme.named_in(declared.level) if declared else None
            for i in whom:
                if named is not None and named.levels and not BLANK.match(cells[i]):
                    self._criteria.cell(cells[i], row.line, named)

    def _level_item(self, item: Item, named: Named | None, climbs: bool) -> None:
        self._level_line(item.text, named, climbs)

    def _level_line(self, text: Inline, named: Named | None, climbs: bool) -> None:
        lead = text.before_colon
        if named is None or not (climbs or CLIMBS.search(lead)):
            return
        words = text.after_colon if CLIMBS.search(lead) else text.plain
        if words and not BLANK.match(words):
            self._criteria.cell(words, text.line, named)

    def _item(self, item: Item, around: About, in_path: bool) -> None:
        text = self._criteria.unlabelled(item.text)
        ladder, notes = self._account.ladder, self._account.notes
        rungs = len(ladder.rungs)
        label = self._account.level_alone(text.plain) if item.blocks else None
        led = self._lead_in(text, around) if item.blocks else None
        if led is not None:
            notes.mark_item(item, LineStatus.REFERENCE, "time of the lines below")
            around = led
        elif label is not None:
            self._account.undeclared(label, text.line)
            notes.mark_item(item, LineStatus.REFERENCE, "level of the lines below")
            around = around.with_levels(label)
        elif text.plain:
            self._line(text, around, in_path)
        own = ladder.rungs[rungs:]
        for block in item.blocks:
            if isinstance(block, Listing):
                for inner in block.items:
                    self._nested(inner, around, own, in_path and label is not None)
            elif isinstance(block, Table):
                self._tables.read(block, around)

    def _nested(self, item: Item, around: About, above: Sequence[Rung], in_path: bool) -> None:
        """Read an item below another: below a role of the path, a time is that role's."""
        ladder = self._account.ladder
        climbs, refused = len(ladder.climbs), len(ladder.not_carried)
        self._item(item, around, in_path)
        made = ladder.climbs[climbs:]
        if not above or any(climb.to for climb in made):
            return
        if not made and not VERB.search(item.text.plain):
            # What a role does, or its telephone number, is no rule that went wrong.
            del ladder.not_carried[refused:]
            note = "about the role above"
            self._account.notes.mark(item.text.line, LineStatus.REFERENCE, note, again=True)
        for climb in made:
            climb.to = tuple(rung.role for rung in above)
            climb.levels = above[0].levels if climb.levels is None else climb.levels

    def _line(self, text: Inline, around: About, in_path: bool) -> None:
        words = text.plain
        if is_refused(words):
            self._account.not_carried(words, text.line, around, end=text.end)
            return
        if is_told(words):
            self._account.notes.mark(
                text.line, LineStatus.REFERENCE, "told, and no rule", end=text.end
            )
            return
        if self._drawings.arrows(words, text.line, around):
            return
        if around.to and not VERB.search(words):
            self._criteria.condition_of_a_target(text, around)
            return
        if self._criteria.read(text, around, in_path) or self._rungs.read(text, around, in_path):
            return
        if self._is_work(words):
            self._account.notes.mark(
                text.line, LineStatus.HUMAN, "what a person does then", end=text.end
            )
            return
        self._account.not_carried(words, text.line, around, end=text.end)

    def _is_work(self, words: str) -> bool:
        """Say whether a line reaches nobody and waits for nothing: a step of the work itself."""
        if VERB.search(words) or self._account.named(words) is not None:
            return False
        return is_act(words) or (delay_of(words) is None and not ROLE_WORD.search(words))

    def _paragraph(self, block: Paragraph, around: About, is_path: bool) -> None:
        text = block.text
        apart = self._apart(text)
        if not apart and self._drawings.arrows(text.plain, text.line, around):
            self._account.notes.mark_block(block, LineStatus.AUTOMATED, "escalation path")
            return
        if not apart and self._is_unmarked_list(text):
            apart = _lines_of(text)
        for line in apart:
            self._line(line, around, is_path)
        if apart:
            return
        for sentence in re.split(r"(?<=[.;])\s+", text.plain):
            self._criteria.sentence(sentence, text.line, around)
        if text.lead and ROLE_WORD.search(text.lead) and text.rest:
            self._rungs.read(text, around, in_path=True)

    def _apart(self, text: Inline) -> list[Inline]:
        """Return the rules that stand together in a paragraph, line by line or between semicolons."""
        lines = _lines_of(text)
        if len(lines) > 1 and all(self._criteria.is_step(line) for line in lines):
            return [self._criteria.unlabelled(line) for line in lines]
        if len(lines) > 1 and all(map(self._is_chain, lines)):
            return lines
        pieces = re.split(r"(?<=;)\s+", text.plain)
        if len(pieces) > 1 and all(delay_of(p) is not None and targets_in(p) for p in pieces):
            bare = (piece.rstrip(" ;.") for piece in pieces)
            return [msgspec.structs.replace(text, plain=words, lead="") for words in bare]
        return []

    def _is_chain(self, line: Inline) -> bool:
        """Say whether arrows lead through a line from a level or a role, and it ends in one."""
        pieces = ARROWS.split(line.plain)
        is_whole = all(piece.strip() for piece in pieces)
        starts_anew = self._account.named(line.before_colon) is not None
        return is_whole and len(pieces) > (1 if starts_anew else 2)

    def _is_unmarked_list(self, text: Inline) -> bool:
        """Say whether every line begins with a level or a role, as list items without bullets do."""
        lines = _lines_of(text)
        return all(
            (lead := line.before_colon)
            and len(lead.split()) <= 6
            and (self._account.named(lead) is not None or ROLE_WORD.search(lead) is not None)
            for line in lines
        ) and (len(lines) > 1 or self._account.named(lines[0].before_colon) is not None)


def _lines_of(text: Inline) -> list[Inline]:
    """Return every line of a paragraph as running text of its own."""
    lines: list[Inline] = []
    for at, raw in enumerate(text.raw.split("\n")):
        plain = re.sub(r"\*\*|__|`", "", raw).strip()
        if plain:
            number = text.line + at
            lines.append(Inline(raw=raw, plain=plain, line=number, end=number))
    return lines
