"""Alerts and their documents: two for one, none that leads to it, links that lead nowhere."""

from __future__ import annotations

from tests.runbook.lint import SCENARIO, found
from tocsin.core.surroundings import Tuning
from tocsin.runbook.lint import Known, KnownAlert

FULL = "# {title}\n\n## Meaning\n\nA disk is full.\n\n## Mitigation\n\n1. Take away old logs\n"


def about(title, front=""):
    return front + FULL.format(title=title)


def reached(documents, *alerts, urls=None):
    known = Known(tuning=Tuning(runbook_urls=urls or {}), alerts=tuple(alerts))
    return found("T177", documents, known), found("T178", documents, known)


def test_two_documents_of_one_alert_are_found_at_the_one_that_is_not_shown():
    documents = {
        "b/DiskFull.md": about("Disk full"),
        "a.md": about("Disks", "---\nalerts: [DiskFull]\n---\n\n"),
    }
    [finding] = found("T176", documents)
    assert finding.source.file == "a.md"
    assert "b/DiskFull.md:1 explains the alert" in finding.message


def test_two_folders_with_the_same_file_name_are_two_documents_of_one_alert():
    [finding] = found("T176", {"a/Full.md": about("Full"), "b/Full.md": about("Full")})
    assert finding.source.file == "b/Full.md"


def test_documents_about_different_alerts_are_no_twins():
    documents = {"Full.md": about("Full"), "Slow.md": about("Slow"), "x/README.md": about("Index")}
    assert found("T176", documents | {"y/README.md": about("Others")}) == []


def test_two_scenarios_of_one_name_are_no_twins():
    assert found("T176", {"a.md": SCENARIO + "1. x\n", "b.md": SCENARIO + "1. y\n"}) == []


def test_without_the_alerts_nothing_is_said_of_documents_that_none_reaches():
    assert found("T177", {"Full.md": about("Full")}) == []


def test_a_document_without_an_alert_is_found_with_the_nearest_one():
    documents = {"DiskFul.md": about("DiskFul"), "Slow.md": about("Slow")}
    findings, _ = reached(documents, KnownAlert("DiskFull"), KnownAlert("SLOW"))
    [finding] = findings
    assert finding.source.file == "DiskFul.md"
    assert "Did you mean \u201cDiskFull\u201d?" in finding.remedy


def test_a_link_leads_to_a_document_of_another_name():
    urls = {"https://wiki.example.org/": ""}
    alert = KnownAlert("Disk", "r.yml", 3, "https://wiki.example.org/Full.md")
    assert reached({"Full.md": about("Full")}, alert, urls=urls) == ([], [])


def test_a_link_into_the_runbook_that_leads_nowhere_stands_at_the_rule():
    urls = {"https://wiki.example.org/": ""}
    alert = KnownAlert("Full", "r.yml", 3, "https://wiki.example.org/Ful.md")
    _, [finding] = reached({"Full.md": about("Full")}, alert, urls=urls)
    assert str(finding.source) == "r.yml:3"


def test_a_link_to_elsewhere_is_nobodys_business():
    alert = KnownAlert("Full", "r.yml", 3, "https://elsewhere.example.org/x.md")
    assert reached({"Full.md": about("Full")}, alert) == ([], [])


def test_a_process_document_needs_no_alert():
    assert reached(SCENARIO + "1. x\n", KnownAlert("Other")) == ([], [])
