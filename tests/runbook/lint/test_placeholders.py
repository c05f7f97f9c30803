"""Placeholders that no label of an alert fills."""

from __future__ import annotations

import pytest

from tests.runbook.lint import SCENARIO, found, words_of
from tocsin.core.surroundings import Tuning
from tocsin.runbook.lint import Known, KnownAlert


def of(command, known=None, before=""):
    text = SCENARIO + f"1. Do it:\n\n   ```bash\n{before}   {command}\n   ```\n"
    return found("T172", text, known), text


@pytest.mark.parametrize(
    ("command", "hole"),
    [
        ("kubectl logs deployment/api --since-time=<start-of-outage>", "<start-of-outage>"),
        ("kubectl rollout undo deployment/api --to-revision=<revision>", "<revision>"),
        ("psql $DATABASE_URL -c 'SELECT 1'", "$DATABASE_URL"),
        ("curl https://api.example.org/users/{user_id}", "{user_id}"),
        ("git show <commit>", "<commit>"),
    ],
)
def test_what_no_alert_says_is_found(command, hole):
    findings, text = of(command)
    assert [words_of(f, text) for f in findings] == [hole]


@pytest.mark.parametrize(
    "hole",
    [
        "<pod>", "<pod-name>", "<my-pod>", "$POD", "$POD_NAME", "${podName}", "{{pod}}", "<namespace>", "$NS",
        "$NAMESPACE", "<node>", "$NODE_NAME", "<instance>", "<container-name>", "$CLUSTER", "<deployment>",
        "$SERVICE", "<job_name>", "<your-namespace>", "<name of the pod>", "$HOME", "$USER",
    ],
)  # fmt: skip
def test_what_an_alert_says_is_not(hole):
    assert of(f"kubectl logs {hole} --tail=100")[0] == []


def test_a_variable_that_the_document_sets_is_none():
    assert of("psql $URL -c 'SELECT 1'", before="   export URL=postgres://db\n")[0] == []
    assert of("echo $line", before="   while read line; do :; done\n")[0] == []


def test_the_same_placeholder_is_found_once_a_document_with_all_its_lines():
    text = SCENARIO + "".join(f"{n}. See: `git show <commit> --stat`\n" for n in range(1, 4))
    [finding] = found("T172", text)
    assert finding.source.line == 13
    assert "lines 14 and 15 as well" in finding.message
    assert found("T119", text) == []


def test_labels_of_the_settings_and_of_the_rules_fill():
    known = Known(tuning=Tuning(service_labels=("revision",)))
    assert of("git show <revision>", known)[0] == []
    known = Known(alerts=(KnownAlert("A", labels=("commit",)),))
    assert of("git show <commit>", known)[0] == []


def test_a_format_of_curl_is_no_placeholder():
    assert of("curl -w '%{time_total}' https://api.example.org/health")[0] == []
