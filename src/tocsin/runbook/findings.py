"""Every finding ``check`` can report, with its level, in one table."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from tocsin.core.policy import Level

CATALOGUE: dict[str, tuple[Level, str]] = {
    "T100": (Level.ERROR, "The runbook declares neither severity levels nor an escalation."),
    "T101": (Level.ERROR, "A severity level is declared twice, with different meanings."),
    "T102": (Level.ERROR, "A rule names a severity level that is not declared."),
    "T103": (Level.WARNING, "A second severity scheme is not in force."),
    "T104": (Level.WARNING, "Severity levels are used but never declared."),
    "T105": (Level.WARNING, "The runbook says nobody to page."),
    "T106": (Level.WARNING, "An incident of this level pages nobody when it begins."),
    "T107": (Level.WARNING, "A command never ends."),
    "T108": (Level.WARNING, "A command needs a shell."),
    "T109": (Level.WARNING, "A command needs a terminal, or names a stand-in."),
    "T110": (Level.WARNING, "A command names no namespace, unlike its neighbours."),
    "T111": (Level.INFO, "A command spans several lines."),
    "T112": (Level.INFO, "A step depends on a person's judgement."),
    "T113": (Level.WARNING, "A command speaks to localhost."),
    "T114": (Level.WARNING, "A scale command may scale down."),
    "T115": (Level.INFO, "A command block has comments without a command."),
    "T116": (Level.WARNING, "A command reads secrets, or chooses its own cluster."),
    "T117": (Level.INFO, "A command is not known, and so counts as mutating."),
    "T118": (Level.INFO, "A short form for several severity levels was read."),
    "T119": (Level.INFO, "A command holds values that must be filled in."),
    "T120": (Level.INFO, "A rule waits for an event, not for a severity."),
    "T121": (Level.INFO, "An escalation names no target."),
    "T122": (Level.WARNING, "An escalation timer pages nobody new."),
    "T123": (Level.WARNING, "An escalation rule was not understood."),
    "T124": (Level.WARNING, "A role is a blank to fill in."),
    "T125": (Level.WARNING, "An escalation waits for a measurement."),
    "T126": (Level.WARNING, "A role of the escalation path is never reached."),
    "T127": (Level.INFO, "A role of the escalation path is reached at once, for want of a time."),
    "T128": (Level.WARNING, "An escalation rule gives no time, and is read as at once."),
    "T129": (Level.WARNING, "No escalation criterion speaks of a level."),
    "T130": (Level.INFO, "An escalation gives two times for one page."),
    "T131": (Level.WARNING, "Updates are asked for without a rhythm."),
    "T132": (Level.WARNING, "An audience has no address."),
    "T133": (Level.WARNING, "Another document decides instead of this one."),
    "T134": (Level.WARNING, "A filter names no declared severity."),
    "T135": (Level.WARNING, "A communication rule was not understood."),
    "T136": (Level.INFO, "A promise in a severity level is not acted upon."),
    "T137": (Level.WARNING, "A channel has no address."),
    "T140": (Level.INFO, "There are no settings; pages stay in the app."),
    "T141": (Level.WARNING, "Nobody holds a role."),
    "T142": (Level.WARNING, "A person cannot be reached outside the app."),
    "T143": (Level.WARNING, "A person's contact leads nowhere."),
    "T144": (Level.WARNING, "The address of a channel or audience leads nowhere."),
    "T145": (Level.WARNING, "An audience of an e-mail rule has no e-mail address."),
    "T146": (Level.WARNING, "The settings name a severity level that is not declared."),
    "T147": (Level.WARNING, "A criterion stands under two severity levels."),
    "T148": (Level.WARNING, "A worse severity level waits longer than a milder one."),
    "T150": (Level.ERROR, "A document cannot be read as a runbook."),
    "T151": (Level.WARNING, "A code block is never closed."),
    "T152": (Level.WARNING, "A table is written in HTML, which is not read."),
    "T153": (Level.ERROR, "An annotation for Tocsin was not understood."),
    "T159": (Level.ERROR, "The runbook cannot be read."),
    "T160": (Level.INFO, "There is no post-mortem template."),
    "T161": (Level.WARNING, "A scenario has no steps."),
    "T162": (Level.WARNING, "A link leads nowhere."),
    "T163": (Level.INFO, "A command stands outside a scenario."),
    "T164": (Level.INFO, "An escalation holds for one scenario only."),
    "T170": (Level.WARNING, "A rung comes too late to page anybody new."),
    "T171": (Level.INFO, "A step changes something, and nothing proves it or takes it back."),
    "T172": (Level.INFO, "No label fills a placeholder."),
    "T173": (Level.INFO, "A scenario names no symptoms."),
    "T174": (Level.WARNING, "No source can observe a symptom."),
    "T175": (Level.WARNING, "SQL writes."),
    "T176": (Level.WARNING, "An alert has two documents."),
    "T177": (Level.WARNING, "No alert leads to a document."),
    "T178": (Level.WARNING, "The link of an alert leads to no document."),
}


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Return ``Did you mean "x"?`` for the nearest known word, or nothing when none is near."""
    by_folded = {word.casefold(): word for word in known}
    near = difflib.get_close_matches(wrong.casefold(), by_folded, n=1, cutoff=0.5)
    return f"Did you mean \u201c{by_folded[near[0]]}\u201d?" if near else ""
