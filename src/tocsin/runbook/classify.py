"""What running a command may do, by one table per program. What no table knows is mutating.

A verdict is about the argv that would run, never about text: whoever quotes a command in another
way gets the same verdict.
"""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.core.policy import CommandClass
from tocsin.runbook.programs import (
    carriers,
    clouds,
    clusters,
    containers,
    databases,
    git,
    helm,
    kubernetes,
    machines,
    services,
    texts,
    web,
)
from tocsin.runbook.programs.verdicts import TAIL_LINES, Argv, Judge, Trait, Verdict, has_hole
from tocsin.runbook.wordlists import words as words_of

__all__ = ["FILTERS", "PROGRAMS", "TAIL_LINES", "Trait", "Verdict", "classify", "is_known_program"]

_DEPTH_MAX = 4
_JUDGES: dict[str, Judge] = {
    **machines.JUDGES,
    **texts.JUDGES,
    **clusters.JUDGES,
    **carriers.JUDGES,
    **dict.fromkeys(("kubectl", "oc"), kubernetes.judge),
    **dict.fromkeys(
        ("docker", "podman", "docker-compose", "podman-compose", "nerdctl"), containers.judge
    ),
    **dict.fromkeys(("mysql", "mariadb"), databases.judge_mysql),
    "helm": helm.judge,
    "psql": databases.judge_psql,
    "mysqladmin": databases.judge_mysqladmin,
    "redis-cli": databases.judge_redis,
    "valkey-cli": databases.judge_redis,
    "curl": web.judge_curl,
    "wget": web.judge_wget,
    "crictl": containers.judge_crictl,
    "systemctl": services.judge_systemctl,
    "journalctl": services.judge_journalctl,
    "service": services.judge_service,
    "git": git.judge,
    "aws": clouds.judge_aws,
    "gcloud": clouds.judge_gcloud,
    "az": clouds.judge_az,
}
# Programs that a runbook may call, and of which nothing is known but that they may change something.
_OTHER_PROGRAMS = words_of("""kill pkill killall rm mv cp mkdir touch chmod chown ln tar gzip gunzip zip unzip scp rsync
    sftp xargs tee dd mysqldump pg_dump pg_dumpall pg_restore pg_basebackup mongo mongosh mongodump sqlite3 ansible
    ansible-playbook make npm npx yarn pnpm pip pip3 python python3 node go cargo java ruby perl php apt apt-get yum dnf
    apk brew nginx apachectl haproxy telnet mtr umount fuser reboot shutdown halt poweroff alembic pytest flux kustomize
    istioctl linkerd velero vault consul nomad patronictl pgbouncer promtool amtool createdb dropdb pg_ctl vacuumdb
    reindexdb gsutil heroku fly flyctl eksctl calicoctl ctr nohup strace gdb jstack jmap jcmd tcpkill useradd usermod
    passwd swapoff swapon logrotate supervisorctl pm2 celery rails rake manage.py certbot kinit truncate shred mkfs fdisk
    parted lvextend resize2fs xfs_growfs fsck ufw firewall-cmd tc ifconfig ifup ifdown nmcli snap locust k6 ab gh hub
    doctl linode-cli kubeadm kubectx kubens k9s stern minikube kind buildah skopeo yq""")

# All of which a table knows something.
PROGRAMS = frozenset(_JUDGES)
FILTERS = words_of("grep egrep fgrep head tail sort uniq wc cut jq")


def classify(argv: Sequence[str]) -> Verdict:
    """Judge an argv. Never raises; an empty one is not a command."""
    return _judge(tuple(argv), 0)


def is_known_program(word: str) -> bool:
    """Say whether a word is the name of a program of which the tables know something."""
    return word in _JUDGES or word in _OTHER_PROGRAMS


def _judge(argv: Argv, depth: int) -> Verdict:
    if not argv or not argv[0].strip():
        return Verdict(CommandClass.NOT_A_COMMAND, "there is no command", None)
    if depth > _DEPTH_MAX:
        return Verdict(CommandClass.MUTATING, "it is nested too deeply to be judged", argv)
    program = argv[0]
    if (judge := _JUDGES.get(program)) is not None:
        return judge(argv, lambda inner: _judge(inner, depth + 1))
    if program in _OTHER_PROGRAMS:
        return Verdict(CommandClass.MUTATING, f"{program} may change something", argv)
    if has_hole(program):
        return Verdict(CommandClass.MUTATING, "which program it is must be filled in", argv)
    why = f"{program} is not known, so it may change something"
    return Verdict(CommandClass.MUTATING, why, argv, ((Trait.UNKNOWN, 0),))
