"""What is wrong with a runbook although each line can be read: one module for each kind of check."""

from __future__ import annotations

from tocsin.runbook.lint.everything import check
from tocsin.runbook.lint.known import Known, KnownAlert

__all__ = ["Known", "KnownAlert", "check"]
