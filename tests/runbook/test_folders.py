"""A folder: one process document decides; the others add scenarios, and links lead somewhere."""

from __future__ import annotations

import random
import time

import pytest

from tests.runbook.documents import PROCESS, assert_ledger_is_complete, codes
from tests.runbook.goldens.files import CORPUS
from tocsin.core.policy import LineStatus
from tocsin.runbook import Compiled, Compiler, compile_runbook
from tocsin.runbook.document import read_document
from tocsin.runbook.links import anchor_of, dead_files, resolve

ALERT = "# {}\n\n## Meaning\n\nIt is bad.\n\n## Diagnosis\n\n1. Look: `kubectl get pods`\n"
SECOND = """\
# Data centre

## Escalation

- P0: page the facility manager immediately

## Communication

- Slack: #facility
"""


def messages(result: Compiled, code: str) -> list[str]:
    return [finding.message for finding in result.findings if finding.code == code]


def test_alert_documents_inherit_the_policy_of_the_process_document() -> None:
    result = compile_runbook({"process.md": PROCESS, "alerts/q.md": ALERT.format("QueueStuck")})
    assert [p.name for p in result.policy.plays] == ["QueueStuck"]
    assert len(result.policy.severities) == 4
    assert result.policy.escalations


def test_the_process_document_decides_whom_an_incident_reaches() -> None:
    result = compile_runbook({"a-facility.md": SECOND, "process.md": PROCESS})
    assert all(r.source.file == "process.md" for r in result.policy.escalations)
    assert messages(result, "T133") == [
        "process.md decides the escalation; the rules of this document do not hold."
    ]
    entry = next(e for e in result.ledger if e.file == "a-facility.md" and e.line == 5)
    assert entry.status is LineStatus.UNSUPPORTED
    assert_ledger_is_complete(result)


def test_what_the_process_document_leaves_open_another_one_decides() -> None:
    result = compile_runbook({"a-facility.md": SECOND, "process.md": PROCESS})
    assert [r.target for r in result.policy.communications] == ["#facility"]


def test_severity_and_escalation_may_stand_in_two_documents() -> None:
    levels, _, rules = PROCESS.partition("## Escalation\n")
    result = compile_runbook(
        {"levels.md": levels, "rules.md": f"# Rules\n\n## Escalation\n{rules}"}
    )
    whole = compile_runbook({"one.md": PROCESS})
    kept = [(r.severity, r.to, r.after_s) for r in result.policy.escalations]
    assert kept == [(r.severity, r.to, r.after_s) for r in whole.policy.escalations]
    assert "T133" not in codes(result)


# -- Links -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Queue stuck", "queue-stuck"),
        ("Backup & Recovery", "backup--recovery"),
        ("1. What's up?", "1-whats-up"),
        ("P0 - Critical", "p0---critical"),
        ("Über_uns", "über_uns"),
        ("Custom {#mine}", "mine"),
    ],
)
def test_an_anchor_is_that_of_the_usual_renderers(heading: str, anchor: str) -> None:
    assert anchor_of(heading) == anchor


@pytest.mark.parametrize(
    ("target", "file", "anchor"),
    [
        ("b.md", "docs/b.md", ""),
        ("./b.md#x", "docs/b.md", "x"),
        ("../c%20d.md?y=1#z", "c d.md", "z"),
        ("#here", "docs/a.md", "here"),
    ],
)
def test_a_relative_link_is_resolved(target: str, file: str, anchor: str) -> None:
    assert resolve("docs/a.md", target) == (file, anchor)


@pytest.mark.parametrize(
    "target",
    ["https://x.example.org/a.md", "mailto:a@b.example", "/a.md", "//x/y", "{{ url }}", ""],
)
def test_a_link_that_leaves_the_folder_is_nobody_s_business_here(target: str) -> None:
    assert resolve("docs/a.md", target) is None


def test_a_link_to_a_heading_that_is_not_there_is_dead() -> None:
    text = "# A\n\nSee [the queue](#queue-stuk) and ![x](b.md#other).\n\n## Queue stuck\n\n- Look\n"
    result = compile_runbook({"a.md": text, "b.md": "# B\n\n## Others\n\n- x\n"})
    found = [
        (f.source.line, f.column, f.message, f.remedy) for f in result.findings if f.code == "T162"
    ]
    assert found == [
        (3, 17, "This document has no heading “#queue-stuk”.", "Did you mean “#queue-stuck”?"),
        (3, 39, "b.md has no heading “#other”.", "Did you mean “#others”?"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "# A\n\n[x](#a)\n",
        "# A\n\n## B\n\n## B\n\n[x](#b-1)\n",
        '# A\n\n<a name="There"></a>\n\n[x](#there)\n',
        "# A & B\n\n[x](#a-b)\n",
        "# A\n\n```\n[x](#none)\n```\n",
        "# A\n\n[x](other.md#none)\n",
        "# A\n\n[x](code.py#L12)\n",
    ],
)
def test_a_link_that_leads_somewhere_or_that_nobody_can_judge_is_not_dead(text: str) -> None:
    assert "T162" not in codes(compile_runbook({"a.md": text}))


def test_files_that_are_not_there_are_dead_pictures_too() -> None:
    texts = {
        "d/a.md": "# A\n\n[x](b.md) [y](../c.md) [z](gone.md)\n\n![p](p.png) ![q](q.png)\n",
        "d/b.md": "# B\n",
    }
    documents = {file: read_document(file, text) for file, text in texts.items()}
    found = list(dead_files(documents, lambda path: path in ("c.md", "d/p.png")))
    assert [f.message for f in found] == ["“gone.md” is not there.", "This picture is not there."]
    assert [(f.source.line, f.column) for f in found] == [(3, 28), (5, 18)]


def test_where_only_a_link_says_what_to_do_following_it_is_the_step() -> None:
    text = f"{PROCESS}\n## Scenarios\n\n### Disk full\n\nSee [the disks](disks.md).\n"
    play = compile_runbook({"a.md": text}).policy.plays[0]
    assert [step.text for step in play.steps] == ["See the disks."]


# -- Again and again -------------------------------------------------------------------------------


def test_a_kept_reading_gives_what_a_fresh_one_gives() -> None:
    compiler, rng = Compiler(), random.Random(7)  # noqa: S311 # the same texts each time
    texts = [
        PROCESS,
        PROCESS.replace("P0", "SEV1").replace("P1", "SEV2"),
        PROCESS.split("## Escalation")[0],
        "# E\n\n## Escalation" + PROCESS.split("## Escalation")[1],
        SECOND,
        ALERT.format("QueueStuck"),
        f"{PROCESS}\n## Scenarios\n\n### Disk (P1)\n\n- Look\n",
        "",
    ]
    documents: dict[str, str] = {}
    for _ in range(200):
        file = rng.choice(["a.md", "b.md", "c/d.md", "e.md"])
        if rng.random() < 0.2:
            documents.pop(file, None)
        else:
            documents[file] = rng.choice(texts)
        assert compiler.compile(documents) == compile_runbook(documents)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="../shared/corpus is not here")
def test_kept_readings_of_shared_documents_give_what_fresh_ones_give() -> None:
    files = sorted(CORPUS.glob("process/an0mium__aragora/docs/**/*.md"))
    documents = {str(f.relative_to(CORPUS)): f.read_text(encoding="utf-8") for f in files}
    compiler = Compiler()
    compiler.compile(documents)
    for name in list(documents)[:4]:
        changed = {**documents, name: documents[name] + "\n## More\n\n- One more\n"}
        assert compiler.compile(changed) == compile_runbook(changed)


def test_a_thousand_documents_are_compiled_and_one_edit_is_not_a_thousand() -> None:
    documents = {f"alerts/{n}.md": ALERT.format(f"Queue{n}Stuck") for n in range(1000)}
    documents["process.md"] = PROCESS
    compiler = Compiler()
    began = time.perf_counter()
    compiler.compile(documents)
    whole_s = time.perf_counter() - began
    documents["alerts/7.md"] += "2. Look again\n"
    began = time.perf_counter()
    result = compiler.compile(documents)
    assert time.perf_counter() - began < whole_s / 3
    assert len(result.policy.plays) == 1000
