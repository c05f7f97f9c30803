"""The draft follows the runbook's template and says only what the journal knows."""

from __future__ import annotations

from markdown_it import MarkdownIt
from msgspec.structs import replace

from tests.core.world import POLICY, at, line, signal, world
from tocsin.core.inputs import Acknowledged, NoteWritten, PhaseMoved
from tocsin.core.phases import Phase
from tocsin.core.policy import ChecklistItem, Postmortem, PostmortemPrompt, PostmortemSection
from tocsin.reports.postmortem import BLANK, draft

INC = "INC-1"


def section(title, *prompts):
    return PostmortemSection(
        title, line(200), tuple(PostmortemPrompt(p, line(201)) for p in prompts)
    )


TEMPLATE = Postmortem(
    sections=(
        section("Incident Summary", "What happened", "When it happened", "Impact"),
        section("Timeline", "Detection time", "Resolution time", "Key events"),
        section("Root Cause", "Primary cause", "Contributing factors"),
        section("Resolution", "Steps taken", "What worked", "What didn't work"),
        section("Prevention", "Action items", "Monitoring improvements"),
    ),
    action_items=(ChecklistItem("Fix root cause", line(228)),),
)


def played():
    w = world(courier=lambda e: getattr(e, "person", "") != "eva")
    w.policy = replace(POLICY, postmortem=TEMPLATE)
    w.receive(signal(severity="P0", summary="API answers 500 <script>alert(1)</script>"))
    w.advance(at(2))
    w.act(INC, Acknowledged("Ona", "link"))
    w.act(INC, NoteWritten("Ona", "The cause is revision 48 [click](javascript:x)"))
    w.act(INC, PhaseMoved("Ona", Phase.FIXING))
    w.advance(at(10))
    w.receive(signal(severity="P0", ends=at(10)))
    w.advance(at(25))
    return w


def written(w):
    return draft(w.policy, w.incidents[INC], w.journal[INC], at(30))


def test_every_heading_of_the_template_stands_in_its_order():
    text = written(played())
    wanted = [s.title for s in TEMPLATE.sections]
    found = [row[6:] for row in text.splitlines() if row.startswith("## ")]
    assert found == wanted
    prompts = [row[4:] for row in text.splitlines() if row.startswith("### ")]
    assert [p.text for s in TEMPLATE.sections for p in s.prompts] == [
        p for p in prompts if p != "Acknowledgement time"
    ]


def answer_to(text, prompt):
    return text.split(f"### {prompt}\n\n", 1)[1].split("\n#", 1)[0]


def test_the_times_are_those_of_the_journal():
    text = written(played())
    assert answer_to(text, "Detection time").startswith("2026-11-23 03:00:00 UTC")
    assert "by Ona, 2 min after detection" in answer_to(text, "Acknowledgement time")
    assert "03:25:00 UTC, after a quiet watch, 25 min after detection" in answer_to(
        text, "Resolution time"
    )


def test_what_failed_is_listed_and_what_nobody_knows_is_a_blank():
    text = written(played())
    assert "Eva could not be reached by any contact" in answer_to(text, "What didn't work")
    assert answer_to(text, "Contributing factors").strip() == BLANK
    assert "revision 48" in answer_to(text, "Primary cause")
    assert "- [ ] Fix root cause (L228)" in answer_to(text, "Action items")


def test_key_events_cite_their_runbook_lines():
    assert "(L192)" in answer_to(written(played()), "Key events")


def test_text_of_signals_and_people_stays_text():
    html = MarkdownIt("commonmark", {"html": True}).render(written(played()))
    assert "<script" not in html
    assert "<a " not in html


def test_an_open_incident_says_that_the_draft_is_not_complete():
    w = world()
    w.receive(signal(severity="P0"))
    text = written(w)
    assert "still open" in text
    assert "Nobody acknowledged it." in text


def test_a_runbook_without_a_template_gets_ours():
    w = world()
    w.receive(signal(severity="P0"))
    assert "## 1. Summary" in written(w)


def test_what_happened_on_another_day_carries_its_date():
    w = world()
    w.receive(signal(severity="P3"))
    w.advance(at(24 * 60))
    events = answer_to(draft(POLICY, w.incidents[INC], w.journal[INC], at(24 * 60)), "Key events")
    assert "- 03:00:00 Opened by" in events
    assert "- 2026-11-24 03:00:00 Paged" in events
