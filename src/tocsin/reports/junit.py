"""Outcomes of tests as JUnit XML, as CI systems read it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Case(msgspec.Struct, frozen=True):
    """One test. ``failure`` and ``error`` are one line each, "" where there is none."""

    suite: str
    name: str
    line: int
    took_s: float
    failure: str = ""
    error: str = ""
    detail: str = ""


def junit(name: str, cases: Sequence[Case]) -> str:
    """Return the XML of one run: a suite for each file, in the order in which they came."""
    suites: dict[str, list[Case]] = {}
    for case in cases:
        suites.setdefault(case.suite, []).append(case)
    body = "".join(_suite(suite, own) for suite, own in suites.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<testsuites name={_attribute(name)} {_counts(cases)}>\n{body}</testsuites>\n"
    )


def _suite(name: str, cases: Sequence[Case]) -> str:
    body = "".join(_case(case) for case in cases)
    return f"  <testsuite name={_attribute(name)} {_counts(cases)}>\n{body}  </testsuite>\n"


def _case(case: Case) -> str:
    about = (
        f"name={_attribute(case.name)} classname={_attribute(case.suite)}"
        f' file={_attribute(case.suite)} line="{case.line}" time="{case.took_s:.3f}"'
    )
    if not case.failure and not case.error:
        return f"    <testcase {about}/>\n"
    tag = "error" if case.error else "failure"
    said = _attribute(case.error or case.failure)
    detail = escape(_NO_XML.sub("\ufffd", case.detail))
    return (
        f"    <testcase {about}>\n"
        f'      <{tag} message={said} type="{tag}">{detail}</{tag}>\n'
        "    </testcase>\n"
    )


def _counts(cases: Sequence[Case]) -> str:
    errors = sum(bool(case.error) for case in cases)
    failures = sum(bool(case.failure) and not case.error for case in cases)
    took_s = sum(case.took_s for case in cases)
    return f'tests="{len(cases)}" failures="{failures}" errors="{errors}" time="{took_s:.3f}"'


def _attribute(text: str) -> str:
    return quoteattr(_NO_XML.sub("\ufffd", text))
