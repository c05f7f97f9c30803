"""All findings of a runbook: of its lines, its settings and its holes, in the order of the lines."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tocsin.core.policy import Finding
from tocsin.runbook.compiler import Compiled
from tocsin.runbook.directory import check_directory
from tocsin.runbook.lint.alerts import check_alerts
from tocsin.runbook.lint.known import Known
from tocsin.runbook.lint.levels import check_levels
from tocsin.runbook.lint.pen import Pen, Texts
from tocsin.runbook.lint.placeholders import check_placeholders
from tocsin.runbook.lint.rungs import check_rungs
from tocsin.runbook.lint.statements import check_statements
from tocsin.runbook.lint.steps import check_steps
from tocsin.runbook.lint.symptoms import check_symptoms
from tocsin.runbook.spans import span_of
from tocsin.runbook.tuning import check_tuning


def check(
    compiled: Compiled, known: Known | None = None, *, more: Iterable[Finding] = ()
) -> tuple[Finding, ...]:
    """Return everything there is to say about a compiled runbook, each finding with its end.

    ``more`` holds findings that somebody else made, of links on a disk for instance.
    """
    known = known or Known()
    texts = Texts(compiled.documents)
    pen = Pen(texts)
    policy = compiled.policy
    check_levels(policy, pen)
    check_rungs(policy, pen)
    check_steps(policy, pen)
    unfilled = check_placeholders(policy, known, pen)
    check_symptoms(policy, known, pen)
    check_statements(policy, pen)
    check_alerts(policy, known, pen)
    found = (
        # Who is told that nothing fills a placeholder need not be told that it must be filled.
        *(
            f
            for f in compiled.findings
            if f.code != "T119" or (f.source.file, f.source.line) not in unfilled
        ),
        *check_directory(policy, known.directory, known.configured, compiled.documents),
        *check_tuning(policy, known.tuning),
        *pen.findings,
        *more,
    )
    ordered = sorted(found, key=lambda f: (f.source.file, f.source.line, f.column, f.code))
    return tuple(_ended(finding, texts) for finding in dict.fromkeys(ordered))


def _ended(finding: Finding, texts: Texts) -> Finding:
    line = texts.line(finding.source)
    start, end = span_of(finding, line)
    return msgspec.structs.replace(finding, column=start + 1, end_column=end + 1)
