"""Findings as GitHub Actions takes them: one workflow command a line, shown in the pull request."""

from __future__ import annotations

import os
from pathlib import Path

from tocsin.core.policy import Finding, Level
from tocsin.runbook.findings import CATALOGUE

_COMMAND = {Level.ERROR: "error", Level.WARNING: "warning", Level.INFO: "notice"}


def annotation(finding: Finding) -> str:
    """Return one finding as a workflow command. Its path is that from the working directory."""
    source = finding.source
    title = f"{finding.code}: {CATALOGUE[finding.code][1].rstrip('.')}"
    properties = {
        "file": _from_here(source.file),
        "line": str(source.line),
        "col": str(finding.column),
        "endColumn": str(max(finding.column, finding.end_column - 1)),
        "title": title,
    }
    said = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{_COMMAND[finding.level]} {said}::{_data(_both(finding))}"


def _both(finding: Finding) -> str:
    return f"{finding.message}\n{finding.remedy}" if finding.remedy else finding.message


def _from_here(file: str) -> str:
    path = Path(file)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return path.as_posix() if os.sep != "/" else str(path)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
