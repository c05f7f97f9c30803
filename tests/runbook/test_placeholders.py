"""What must be filled in before a command can run: where it stands, and what may stand there."""

from __future__ import annotations

import pytest

from tests.runbook.documents import codes, compiled
from tocsin.core.policy import CommandClass, HoleType
from tocsin.runbook.spoken import classify_text

NAME, INTEGER, TEXT = HoleType.NAME, HoleType.INTEGER, HoleType.TEXT

TABLE = [
    ("kubectl logs $POD -n ${NAMESPACE}", [("pod", 2, NAME), ("namespace", 4, NAME)]),
    ("kubectl logs <pod-name>", [("pod_name", 2, NAME)]),
    ("kubectl logs <name of the pod>", [("name_of_the_pod", 2, NAME)]),
    ("kubectl -n {{ns}} get pods", [("ns", 2, NAME)]),
    ("kubectl logs {podName}", [("pod_name", 2, NAME)]),
    ("kubectl logs [pod]", [("pod", 2, NAME)]),
    ("kubectl logs POD_NAME -n NAMESPACE", [("pod_name", 2, NAME), ("namespace", 4, NAME)]),
    ("kubectl logs web --tail=$LINES", [("lines", 3, INTEGER)]),
    ("kubectl scale deployment/<name> --replicas <n>", [("name", 2, NAME), ("n", 4, INTEGER)]),
    ("kubectl exec -it postgres-pod -- ls", [("pod", 2, NAME)]),
    ("curl -s https://$HOST:<port>/health", [("port", 2, INTEGER), ("host", 2, NAME)]),
    ("kubectl get pods -n $NS | grep $POD", [("ns", 4, NAME), ("pod", -1, NAME)]),
    # The words of the argv that would run are counted, not those that are written.
    ("docker exec -it <container> ls", [("container", 2, NAME)]),
    # None of these is to be filled in.
    ("kubectl get pods -o go-template='{{range .items}}{{.x}}{{end}}'", []),
    ("kubectl get pods -o jsonpath='{range .items[*]}{.x}{end}'", []),
    ("docker ps --format '{{.Names}}'", []),
    ("curl -w '%{http_code}' -o /dev/null https://a", []),
    ("awk '{print $NF}' f", []),
    ("grep '[ERROR]' app.log", []),
    ("kubectl get pods | grep '[a-z]-pod'", []),
    ("kubectl get pods --field-selector status.phase=Running", []),
    ("redis-cli CONFIG GET maxmemory", []),
    ("aws rds describe-events --source-type DB_INSTANCE_STATE", []),
    ("psql -c 'SELECT ID, NAME FROM T'", []),
]


@pytest.mark.parametrize(("command", "holes"), TABLE)
def test_a_placeholder_says_its_name_its_place_and_its_type(command, holes):
    found = classify_text(command)
    assert sorted((p.name, p.at, p.type) for p in found.placeholders) == sorted(holes)
    words = found.argv or command.split()
    for placeholder in found.placeholders:
        assert placeholder.text in (command if placeholder.at < 0 else words[placeholder.at])


@pytest.mark.parametrize(
    "command",
    [
        "psql -c 'SELECT * FROM users WHERE id = <id>'",
        'psql -c "SELECT * FROM users WHERE id = $ID"',
        "kubectl exec db-0 -- psql -c 'SELECT * FROM {table}'",
        'mysql -e "SHOW TABLES LIKE [name]"',
        "kubectl exec web -- sh -c 'cat <file>'",
    ],
)
def test_holes_in_what_is_parsed_again_leave_no_argv(command):
    found = classify_text(command)
    assert found.argv is None
    assert found.placeholders
    assert found.kind in (CommandClass.MUTATING, CommandClass.NEEDS_SHELL)


def test_a_hole_in_sql_is_a_finding_that_leaves_it_to_a_person():
    result = compiled(
        "# R\n\n## Incident scenarios\n\n### Slow\n\n**Commands:**\n\n"
        "```bash\npsql -c \"SELECT * FROM users WHERE id = '<id>'\"\n```\n"
    )
    assert "T119" in codes(result)
    said = next(f for f in result.findings if f.code == "T119")
    assert "it may become anything" in said.message


def test_the_policy_holds_what_is_to_be_filled_in():
    result = compiled(
        "# R\n\n## Incident scenarios\n\n### Slow\n\n**Commands:**\n\n"
        "```bash\nkubectl logs -f <pod> -n prod\n```\n"
    )
    command = result.policy.plays[0].steps[0].commands[0]
    assert command.argv == ("kubectl", "logs", "--tail=200", "<pod>", "-n", "prod")
    assert [(p.text, p.at) for p in command.placeholders] == [("<pod>", 3)]
    # The class is that of the argv, which ends.
    assert command.kind is CommandClass.READ_ONLY


@pytest.mark.parametrize(
    "text",
    ["kubectl get pods\rrm x", "kubectl get \u202epods", "echo a\u200bb", "kubectl get pods\x00"],
)
def test_signs_that_nobody_can_see_are_no_reader(text):
    found = classify_text(text)
    assert (found.kind, found.argv) == (CommandClass.MUTATING, None)
