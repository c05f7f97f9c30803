"""What a command may do. Each reader has a neighbour that looks like it and is none."""

from __future__ import annotations

import shlex

import pytest

from tocsin.core.policy import CommandClass
from tocsin.runbook.classify import Trait, classify
from tocsin.runbook.sql import only_reads

READ, MUTATE = CommandClass.READ_ONLY, CommandClass.MUTATING
SENSITIVE, LONG = CommandClass.SENSITIVE_READ, CommandClass.LONG_RUNNING
SHELL = CommandClass.NEEDS_SHELL

TABLE = [
    # kubectl: readers and what hides among them
    ("kubectl get pods -n shop", READ),
    ("kubectl get all -A", READ),
    ("kubectl -n shop get pods -o wide", READ),
    ("kubectl get secrets", SENSITIVE),
    ("kubectl get pods,secrets", SENSITIVE),
    ("kubectl get secret/db -o yaml", SENSITIVE),
    ("kubectl get -- secrets", SENSITIVE),
    ("kubectl get -o yaml Secrets.v1. db", SENSITIVE),
    ("kubectl describe secret db", SENSITIVE),
    ("kubectl describe pod web-1", READ),
    ("kubectl get --raw /api/v1/nodes", SENSITIVE),
    ("kubectl get -f https://example.org/x.yaml", MUTATE),
    ("kubectl get pods -o custom-columns-file=/etc/passwd", MUTATE),
    ("kubectl get pods --profile=cpu", MUTATE),
    ("kubectl logs deployment/web --tail=50", READ),
    ("kubectl top pods", READ),
    ("kubectl events", READ),
    ("kubectl rollout status deployment/web", READ),
    ("kubectl rollout history deployment/web", READ),
    ("kubectl rollout restart deployment/web", MUTATE),
    ("kubectl rollout undo deployment/web", MUTATE),
    ("kubectl rollout", MUTATE),
    ("kubectl auth can-i delete pods", READ),
    ("kubectl auth reconcile", MUTATE),
    ("kubectl config current-context", READ),
    ("kubectl config use-context prod", MUTATE),
    ("kubectl scale deployment/web --replicas=0", MUTATE),
    ("kubectl delete pod get", MUTATE),
    ("kubectl cluster-info", READ),
    ("kubectl cluster-info dump", MUTATE),
    ("kubectl port-forward svc/web 8080:80", LONG),
    ("kubectl edit deployment/web", MUTATE),
    ("kubectl get pods --context=other", MUTATE),
    ("kubectl --server https://evil get pods", MUTATE),
    ("kubectl get pods --as=admin", MUTATE),
    ("kubectl get pods --token abc", MUTATE),
    ("kubectl frobnicate", MUTATE),
    ("/opt/kubectl get pods", MUTATE),
    ("Kubectl get pods", MUTATE),
    # exec says what its inner command says
    ("kubectl exec web-1 -- ls /", READ),
    ("kubectl exec web-1 -- rm -rf /", MUTATE),
    ("kubectl exec web-1 rm -rf /", MUTATE),
    ("kubectl exec -it web-1 -- bash", SHELL),
    ("kubectl exec web-1", SHELL),
    ("kubectl exec web-1 -- sh -c 'ls'", SHELL),
    ("kubectl exec web-1 -- env", SENSITIVE),
    ("kubectl exec --context=x web-1 -- ls", MUTATE),
    ("kubectl exec web-1 -- kubectl exec a -- kubectl exec b -- rm x", MUTATE),
    ("kubectl exec db -- psql -c 'SELECT 1'", READ),
    ("kubectl exec db -- psql -c 'DROP TABLE x'", MUTATE),
    ("kubectl exec db -- psql -U app -Atc 'SELECT 1'", READ),
    ("kubectl exec db -- psql", SHELL),
    # psql
    ("psql -c 'SELECT count(*) FROM pg_stat_activity'", READ),
    ("psql -c 'SELECT 1' -c 'DELETE FROM x'", MUTATE),
    ("psql -f fix.sql", MUTATE),
    ("psql -c 'SELECT 1' -o x.out", MUTATE),
    ("psql -c '\\dt'", READ),
    ("psql -c '\\! reboot'", MUTATE),
    # redis
    ("redis-cli -h cache INFO memory", READ),
    ("redis-cli ping", READ),
    ("redis-cli FLUSHALL", MUTATE),
    ("redis-cli config get maxmemory", READ),
    ("redis-cli config set maxmemory 1", MUTATE),
    ("redis-cli slowlog get 10", READ),
    ("redis-cli slowlog reset", MUTATE),
    ("redis-cli get session:1", SENSITIVE),
    ("redis-cli monitor", LONG),
    ("redis-cli --eval x.lua", MUTATE),
    # curl
    ("curl http://localhost:8000/metrics", READ),
    ("curl -sS -I https://example.org", READ),
    ("curl -sXGET https://example.org", READ),
    ("curl -X POST https://example.org", MUTATE),
    ("curl -XDELETE https://example.org", MUTATE),
    ("curl --request=PUT https://example.org", MUTATE),
    ("curl -X get https://example.org", MUTATE),
    ("curl -d a=b https://example.org", MUTATE),
    ("curl -Fa=@f https://example.org", MUTATE),
    ("curl -sT f https://example.org", MUTATE),
    ("curl -o /etc/passwd https://example.org", MUTATE),
    ("curl -so /dev/null https://example.org", READ),
    ("curl --config x", MUTATE),
    ("curl -K x https://example.org", MUTATE),
    ("curl file:///etc/passwd", MUTATE),
    ("curl file:/etc/passwd", MUTATE),
    ("curl gopher://x", MUTATE),
    ("curl -H @/etc/passwd https://example.org", MUTATE),
    ("curl -L https://example.org", READ),
    ("curl --location-trusted https://example.org", MUTATE),
    ("curl https://example.org -- -o x", MUTATE),
    ("wget -qO- https://example.org", READ),
    ("wget https://example.org", MUTATE),
    ("wget -O x https://example.org", MUTATE),
    # containers and machines
    ("docker ps -a", READ),
    ("docker restart web", MUTATE),
    ("docker -H tcp://evil ps", MUTATE),
    ("docker inspect web", SENSITIVE),
    ("docker compose ps", READ),
    ("docker compose down", MUTATE),
    ("docker compose exec -T db psql -c 'SELECT 1'", READ),
    ("docker exec -it db bash", SHELL),
    ("systemctl status nginx", READ),
    ("systemctl restart nginx", MUTATE),
    ("systemctl status --now nginx", MUTATE),
    ("journalctl -u web -n 50 --no-pager", READ),
    ("journalctl --vacuum-size=1M", MUTATE),
    ("git log --oneline -5", READ),
    ("git log --output=x", MUTATE),
    ("git -c alias.log=!reboot log", MUTATE),
    ("git branch -D main", MUTATE),
    ("helm list -A", READ),
    ("helm rollback web", MUTATE),
    ("aws ec2 describe-instances", READ),
    ("aws ec2 terminate-instances --instance-ids i-1", MUTATE),
    ("aws secretsmanager get-secret-value --secret-id x", SENSITIVE),
    # small tools
    ("df -h", READ),
    ("sort x", READ),
    ("sort -o x x", MUTATE),
    ("sort --outp=x x", MUTATE),
    ("sort --compress-program=reboot x", MUTATE),
    ("uniq a b", MUTATE),
    ("uniq -- a b", MUTATE),
    ("cat /var/log/app.log", READ),
    ("cat /etc/shadow", SENSITIVE),
    ("date +%s", READ),
    ("date -s tomorrow", MUTATE),
    ("date 01010000", MUTATE),
    ("hostname evil", MUTATE),
    ("ss -tlnp", READ),
    ("ss -K dst 10.0.0.1", MUTATE),
    ("top -bn1", READ),
    ("top", LONG),
    ("jq .status", READ),
    ("jq env", SENSITIVE),
    ("env", SENSITIVE),
    ("env reboot", MUTATE),
    ("bash fix.sh", MUTATE),
    ("bash -c ls", SHELL),
    ("eval ls", SHELL),
    # programs that run another
    ("sudo systemctl status web", READ),
    ("sudo systemctl stop web", MUTATE),
    ("sudo -u postgres psql -c 'SELECT 1'", READ),
    ("sudo -i", SHELL),
    ("sudo LD_PRELOAD=x ls", MUTATE),
    ("timeout 5 curl https://example.org", READ),
    ("timeout 5 rm x", MUTATE),
    ("watch kubectl get pods", LONG),
    ("watch kubectl delete pods", MUTATE),
    ("watch 'ls; rm x'", SHELL),
    # nobody knows
    ("frobnicate --all", MUTATE),
    ("./fix.sh", MUTATE),
    ("rm -rf /", MUTATE),
    ("xargs kubectl get pods", MUTATE),
]


@pytest.mark.parametrize(("command", "kind"), TABLE)
def test_a_command_gets_the_class_that_its_argv_deserves(command, kind):
    assert classify(shlex.split(command)).kind is kind


@pytest.mark.parametrize("command", [c for c, k in TABLE if k is SHELL])
def test_what_needs_a_shell_has_no_argv(command):
    assert classify(shlex.split(command)).argv is None


def test_a_command_that_chooses_its_own_cluster_is_never_run():
    for flag in (
        "--context=x",
        "--kubeconfig=x",
        "--cluster=x",
        "--server=x",
        "--token=x",
        "--as=x",
    ):
        verdict = classify(["kubectl", "get", "pods", flag])
        assert verdict.argv is None
        assert (Trait.OWN_CLUSTER, 3) in verdict.traits


@pytest.mark.parametrize(
    ("command", "bounded"),
    [
        ("kubectl logs -f web", "kubectl logs --tail=200 web"),
        ("kubectl logs web -f --tail=5", "kubectl logs web --tail=5"),
        ("kubectl logs --follow=true web", "kubectl logs --tail=200 web"),
        ("kubectl logs -fp web", "kubectl logs --tail=200 -p web"),
        ("kubectl get pods -w", "kubectl get pods"),
        ("kubectl get pods --watch -n x", "kubectl get pods -n x"),
        ("kubectl exec -it web -- ls", "kubectl exec web -- ls"),
        ("kubectl exec -i -t web -- ls", "kubectl exec web -- ls"),
        ("kubectl exec --stdin --tty web -- ls", "kubectl exec web -- ls"),
        ("kubectl exec -itc app web -- ls", "kubectl exec -c app web -- ls"),
        ("kubectl exec web -- tail -f x.log", "kubectl exec web -- tail --lines=200 x.log"),
        ("docker logs -f web", "docker logs --tail=200 web"),
        ("docker stats", "docker stats --no-stream"),
        ("journalctl -fu web", "journalctl --lines=200 -u web"),
        ("tail -100f x", "tail -100 x"),
        ("watch kubectl get pods", "kubectl get pods"),
        ("ping web", "ping -c 4 web"),
        ("curl -sSL https://example.org", "curl -sS https://example.org"),
        ("curl --location https://example.org", "curl https://example.org"),
    ],
)
def test_what_never_ends_or_wants_a_terminal_is_bounded(command, bounded):
    found = classify(shlex.split(command))
    assert found.argv == tuple(shlex.split(bounded))
    # What would run ends, changes nothing, and is judged so by itself.
    again = classify(found.argv)
    assert again.kind is READ
    assert again.argv == found.argv


def test_words_after_the_inner_command_belong_to_it():
    argv = ["kubectl", "exec", "web", "--", "grep", "-it", "--", "x"]
    assert classify(argv).argv == tuple(argv)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM pg_stat_activity;",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "SELECT pid, now() - query_start FROM pg_stat_activity WHERE state <> 'idle' LIMIT 5",
        "SELECT pg_size_pretty(pg_database_size('shop'))",
        "SELECT count(*) FILTER (WHERE a > 1), sum(b)::int FROM t GROUP BY 1",
        "SHOW max_connections",
        "-- who is there\nSELECT 1",
    ],
)
def test_plain_selects_only_read(sql):
    assert only_reads(sql)[0]


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "DELETE FROM x",
        "SELECT 1; DROP TABLE x",
        "SELECT 1 -- \n; DROP TABLE x",
        "SELECT 'a\\'; DROP TABLE x; --'",
        "SELECT * INTO y FROM x",
        "SELECT * FROM x FOR UPDATE",
        "WITH a AS (DELETE FROM x RETURNING *) SELECT * FROM a",
        "EXPLAIN ANALYZE DELETE FROM x",
        "SELECT pg_terminate_backend(1)",
        'SELECT "pg_terminate_backend"(1)',
        "SELECT pg_catalog.pg_terminate_backend(1)",
        "SELECT * FROM dblink('x', 'y') AS t(a int)",
        "SELECT nextval('s')",
        "SELECT set_config('a', 'b', false)",
        "SELECT pg_sleep(3600)",
        "SELECT * FROM t WHERE a = (SELECT lo_import('/etc/passwd'))",
        "SELECT my_own_function(1)",
        "SELECT 1 {# ; DROP TABLE x #}",
        "COPY x TO PROGRAM 'sh'",
        "DO $$ BEGIN END $$",
        "SELECT count(*) FROM <table>",
        "\\copy x to y",
    ],
)
def test_everything_else_may_change_something(sql):
    assert not only_reads(sql)[0]
