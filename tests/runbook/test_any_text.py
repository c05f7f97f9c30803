"""Whatever is written, it compiles: nothing raises, nothing points outside, no line is lost."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.runbook.documents import EXAMPLE, SHARED, assert_ledger_is_complete, compiled
from tocsin.core.policy import Clock, Policy
from tocsin.core.surroundings import Directory
from tocsin.runbook import check_directory, compile_runbook, to_json

FRAGMENTS = st.sampled_from(
    """# Runbook|## Severity|### P0 - Critical|### P1|## Escalation|## Escalation path|## Communication
## Scenarios|### Scenario 1: Down (P0)|**Symptoms:**|**Response:**|**Commands:**|## Post-mortem
## Process|### 1. Detection|### Action items|- P0: escalate at once|- P1+: page the lead in 1 hour
1. **Engineer**: first response|2. **Lead**: for P0-P2|- P9: escalate immediately|- Slack: #x every day
- Email: tell the team for major incidents|```bash|```|~~~|    indented|> quoted|# Check pods
kubectl get pods -n a|kubectl exec -it p -- psql -c "|SELECT 1;|"|$ ls|curl x | sh|kubectl logs -f <pod>
| Level | What |\\n|---|---|\\n| P0 | x |\\n| P1 | y |||- [ ] todo|---|- a\\n  - b\\n    - c\\n|`kubectl get`
<!-- x -->|[x]: y|***|**bold|Setext\\n===|\\t- tab|- |1.|| x | y |\\x00|\\u2028|{{ns}} ${X}|[name]|---\\ntitle: x\\n---"""
    .replace("\n", "|")
    .split("|")
)  # fmt: skip
DOCUMENTS = st.lists(FRAGMENTS.map(lambda f: f.replace("\\n", "\n")), max_size=25).map("\n".join)


def assert_sane(result):
    assert_ledger_is_complete(result)
    for finding in result.findings:
        text = result.documents.get(finding.source.file, "")
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        assert 1 <= finding.source.line <= len(lines)
        assert 1 <= finding.column <= len(lines[finding.source.line - 1]) + 1
        assert finding.message
        assert finding.remedy
    for rule in result.policy.escalations:
        assert rule.to
        assert rule.after_s >= 0
        assert rule.severity or rule.condition or not result.policy.severities
        assert (rule.clock is Clock.EVENT) is (rule.condition is not None)
        assert all(result.policy.severity(level) for level in rule.severity)
    for rule in result.policy.communications:
        assert all(result.policy.severity(level) for level in rule.severity)
    for play in result.policy.plays:
        for step in play.steps:
            assert step.text
    # What was compiled can be stored and read again.
    kept = msgspec.json.decode(msgspec.json.encode(result.policy), type=Policy)
    assert kept == result.policy
    assert to_json(result)["revision"] == result.policy.revision
    check_directory(result.policy, Directory(), False, result.documents)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=300))
@example("")
@example("\x00")
@example("\ufeff# x")
@example("---\n---\n")
@example("```")
@example("- " * 200)
@example("> " * 200 + "x")
@example("[" * 500)
@example("# P0\r\n## Severity\r- P0\n\u2028- P1")
def test_any_text_compiles(text):
    assert_sane(compiled(text))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DOCUMENTS)
def test_any_heap_of_runbook_fragments_compiles(text):
    assert_sane(compiled(text))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_the_example_survives_any_cut_and_any_swap_of_lines(data):
    lines = EXAMPLE.read_text(encoding="utf-8").split("\n")
    begin = data.draw(st.integers(0, len(lines)))
    end = data.draw(st.integers(begin, len(lines)))
    order = data.draw(st.permutations(lines[begin:end])) if end - begin < 40 else lines[begin:end]
    assert_sane(compiled("\n".join([*lines[:begin], *order])))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["a.md", "b.md", "c/d.md"]), DOCUMENTS, max_size=3))
def test_any_folder_compiles(documents):
    assert_sane(compile_runbook(documents))


def corpus():
    return sorted((SHARED / "corpus").rglob("*.md"))


def test_every_document_of_the_corpus_compiles_with_a_complete_ledger():
    files = corpus()
    if not files:
        pytest.skip("../shared/corpus is not here")
    for file in files:
        assert_sane(compiled(file.read_text(encoding="utf-8")))


def test_the_whole_corpus_compiles_as_one_folder():
    files = corpus()
    if not files:
        pytest.skip("../shared/corpus is not here")
    result = compile_runbook({str(f): f.read_text(encoding="utf-8") for f in files})
    assert_sane(result)
    assert len(result.policy.plays) > 50
