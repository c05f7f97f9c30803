"""Steps that change something although nothing proves them or takes them back."""

from __future__ import annotations

import pytest

from tests.runbook.lint import SCENARIO, found, words_of
from tocsin.core.policy import Level


def of(*steps):
    text = SCENARIO + "".join(f"{n}. {step}\n" for n, step in enumerate(steps, start=1))
    return found("T171", text), text


@pytest.mark.parametrize(
    "command",
    [
        "kubectl rollout restart deployment/api -n shop",
        "kubectl scale deployment/api --replicas=5 -n shop",
        "docker restart api",
        "systemctl restart nginx",
        "helm upgrade api ./chart",
        "curl -X POST https://api.example.org/cache/clear",
    ],
)
def test_a_change_that_nothing_follows_is_a_note(command):
    findings, text = of("See the pods: `kubectl get pods -n shop`", f"Do it: `{command}`")
    [finding] = findings
    assert finding.level is Level.INFO
    assert words_of(finding, text) == command


@pytest.mark.parametrize(
    "command",
    [
        "redis-cli FLUSHALL",
        "kubectl delete pvc data-0 -n shop",
        "docker system prune -af",
        "psql -c 'DROP TABLE sessions'",
        "rm -rf /var/lib/data",
        "curl -X DELETE https://api.example.org/users/7",
        "aws ec2 terminate-instances --instance-ids i-1",
    ],
)
def test_what_takes_something_away_for_good_is_a_warning(command):
    findings, _ = of(f"Do it: `{command}`")
    assert [f.level for f in findings] == [Level.WARNING]


def test_several_changes_are_one_finding_at_the_last():
    findings, _ = of(
        "First: `docker restart a`", "Then: `docker restart b`", "Last: `docker restart c`"
    )
    [finding] = findings
    assert finding.source.line == 15
    assert "like lines 13 and 14, changes something" in finding.message


@pytest.mark.parametrize(
    "after",
    [
        "Verify that requests succeed",
        "Confirm the errors have stopped",
        "Check that the pods are running",
        "Monitor the error rate for ten minutes",
        "Make sure nobody complains any more",
        "Wait until all pods are ready",
        "Error rate should drop within five minutes",
        "`kubectl get pods -n shop`",
        "Watch it: `kubectl rollout status deployment/api -n shop`",
    ],
)
def test_a_later_step_that_looks_is_enough(after):
    assert of("Restart: `docker restart api`", after)[0] == []


def test_a_step_that_looked_before_is_not_enough():
    assert of("Check that it is down", "Restart: `docker restart api`")[0] != []


def test_an_undo_is_enough():
    undo = "Restart: `docker restart api`\n\n   ```tocsin\n   undo: docker start api\n   ```"
    assert of(undo)[0] == []


@pytest.mark.parametrize(
    "step",
    [
        "Roll back: `kubectl rollout undo deployment/api -n shop`",
        # Nobody knows that these change anything.
        "Ask: `shopctl status`",
        "Ask: `python -m shop.report`",
        "See: `kubectl get pods -n shop`",
        "Restart the API by hand",
    ],
)
def test_near_it_nothing_is_said(step):
    assert of(step)[0] == []


def test_a_pod_grows_back():
    [finding] = of("Kick it: `kubectl delete pod api-0 -n shop`")[0]
    assert finding.level is Level.INFO
