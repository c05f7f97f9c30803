"""Markdown in, a policy with its plays, findings and ledger out. Pure: texts arrive as arguments."""

from __future__ import annotations

from tocsin.runbook.compiler import Compiled, Compiler, compile_runbook
from tocsin.runbook.directory import check_directory
from tocsin.runbook.document import split_lines
from tocsin.runbook.jsonform import finding_to_json, to_json
from tocsin.runbook.tuning import check_tuning

__all__ = [
    "Compiled",
    "Compiler",
    "check_directory",
    "check_tuning",
    "compile_runbook",
    "finding_to_json",
    "split_lines",
    "to_json",
]
