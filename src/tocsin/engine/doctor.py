"""The doctor: looks a Tocsin over and says what is well, what is worrying, and what is broken.

Judging is pure: facts go in, checks come out, one for each thing that somebody might ask about. A
check says what is so in a sentence, and what to do about it where there is something to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from tocsin.base.durations import say_duration
from tocsin.core.policy import Level
from tocsin.engine.about import About, say_late
from tocsin.engine.reach import FAILING, UNTESTED, Way

if TYPE_CHECKING:
    from tocsin.core.policy import Finding
    from tocsin.engine.about import Disk
    from tocsin.store.contacts import ContactRow
    from tocsin.store.counts import PutAside, SenderSeen, Server, Standing

OLDEST_VERSION = 15
OVERDUE_S_MAX = 30.0
UNDELIVERED_S_MAX = 60.0
SILENT_S_MAX = 86_400.0
OFFSET_S_MAX = 5.0
DISK_FREE_MIN, DISK_FREE_WANTED = 0.05, 0.15
# A process listens, works two queues and minds the clock and its leases beside what it lends.
CONNECTIONS_BESIDE_POOL = 6
LISTED_MAX = 5
_SHOWN_CHARACTERS_MAX = 120
_NOBODY_IS_REACHED = ("T140", "T141", "T142")
_REPORT = "report"
_BYTES = ("B", "kB", "MB", "GB", "TB")


class Verdict(StrEnum):
    """How one thing is. A problem keeps Tocsin from doing its work, or soon will."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Check(msgspec.Struct, frozen=True):
    """What was looked at (``about``, a word or two), how it is, what is so, and what to do."""

    about: str
    verdict: Verdict
    says: str
    remedy: str = ""


class Facts(msgspec.Struct, frozen=True):
    """What is known of a Tocsin whose database answers.

    ``clock_offset_s`` is how far the clock of the server's machine is ahead of the database's.
    ``is_pooled`` and ``listens`` say what stands between the two; ``steps_left`` are migrations that
    wait for older processes to leave.
    """

    standing: Standing
    server: Server
    clock_offset_s: float
    contacts: dict[str, ContactRow]
    put_aside: Sequence[PutAside]
    admins: int
    is_pooled: bool
    listens: bool
    steps_left: Sequence[str]
    pool_size: int
    ways: Sequence[Way]
    findings: Sequence[Finding]
    edit_is_refused: bool
    about: About


def examine(facts: Facts) -> tuple[Check, ...]:
    """Return everything there is to say, in the order in which somebody would ask."""
    return (
        *_database(facts),
        *_connections(facts),
        clocks("the server", facts.clock_offset_s),
        *_room(facts),
        *_processes(facts),
        *_work(facts),
        *_pages(facts),
        *_contacts(facts),
        *_roles(facts),
        *_senders(facts),
        *_put_aside(facts),
        *_runbook(facts),
        *_people(facts),
        *_watch(facts.about),
        *_retention(facts),
    )


def _ok(about: str, says: str) -> Check:
    return Check(about, Verdict.OK, says)


def _warning(about: str, says: str, remedy: str) -> Check:
    return Check(about, Verdict.WARNING, says, remedy)


def _problem(about: str, says: str, remedy: str) -> Check:
    return Check(about, Verdict.PROBLEM, says, remedy)


# -- The database ----------------------------------------------------------------------------------


def _database(facts: Facts) -> Iterator[Check]:
    whose = "its own" if facts.about.is_embedded else "yours"
    yield from judge_server(facts.server, whose)
    yield from _between(facts)


def judge_server(server: Server, whose: str) -> Iterator[Check]:
    """Judge how a PostgreSQL is set, whether or not a Tocsin runs on it."""
    found = [*_durability(server), *_shape(server)]
    yield from found
    if not any(check.verdict is Verdict.PROBLEM for check in found):
        since = say_duration(server.at - server.started_at)
        yield _ok(
            "database",
            f"PostgreSQL {server.version.split()[0]} ({whose}) answers, up for {since}. "
            "What it calls done is on disk.",
        )


def _durability(server: Server) -> Iterator[Check]:
    for name, value in (("fsync", server.fsync), ("full_page_writes", server.full_page_writes)):
        if value != "on":
            yield _problem(
                "database",
                f"{name} is {value}: a power cut can lose alerts that were answered with 200, or "
                "the whole database.",
                f"Set {name} = on in its postgresql.conf, and reload it.",
            )
    if server.synchronous_commit == "off":
        yield _problem(
            "database",
            "synchronous_commit is off: a crash loses the last moments of what was answered with "
            "200.",
            "Set synchronous_commit = on for this database, and start Tocsin again.",
        )


def _shape(server: Server) -> Iterator[Check]:
    if server.version_number // 10_000 < OLDEST_VERSION:
        yield _warning(
            "database",
            f"PostgreSQL {server.version} is older than what Tocsin is tried with "
            f"({OLDEST_VERSION} and newer).",
            "Upgrade it.",
        )
    if server.is_standby:
        yield _problem(
            "database",
            "This server is a standby: it only reads, and nothing can be taken in.",
            "Let DATABASE_URL name the primary, or both with target_session_attrs=read-write.",
        )
    if server.synchronous_standbys and not server.standbys:
        yield _problem(
            "database",
            f"Commits wait for a standby ({server.synchronous_standbys}), and none is connected: "
            "nothing can be taken in.",
            "Bring the standby back, or empty synchronous_standby_names.",
        )
    elif server.standbys:
        word = "standby follows" if server.standbys == 1 else "standbys follow"
        yield _ok("standbys", f"{server.standbys} {word} it.")
    if server.idle_session_timeout not in (None, "0"):
        yield _warning(
            "database",
            f"idle_session_timeout is {server.idle_session_timeout}: it ends the connections that "
            "wait for news, again and again.",
            "Set idle_session_timeout = 0 for the user of Tocsin.",
        )


def _between(facts: Facts) -> Iterator[Check]:
    if facts.is_pooled and not facts.listens:
        yield _warning(
            "database",
            "A pooler stands between, and passes no notifications: what comes in at one process "
            "wakes the others only within a second.",
            "Set DATABASE_DIRECT_URL to an address that leads past it.",
        )
    if facts.steps_left:
        yield _warning(
            "database",
            f"Its tables wait for {_counted(len(facts.steps_left), 'step')} that older processes "
            f"would not bear: {', '.join(facts.steps_left)}.",
            "Upgrade or stop the older processes; the rest follows within a minute.",
        )


def _connections(facts: Facts) -> Iterator[Check]:
    server = facts.server
    alive = max(1, sum(process.is_alive for process in facts.standing.processes))
    each = facts.pool_size + CONNECTIONS_BESIDE_POOL
    wanted, room = alive * each, server.connections_max - server.connections_reserved
    says = (
        f"{server.connections_used} of {room} are in use; {_counted(alive, 'process', 'es')} may "
        f"want {wanted}"
    )
    if wanted > room:
        yield _problem(
            "connections",
            f"{says}: in a storm some would be refused.",
            f"Set max_connections of the database to {wanted + server.connections_reserved + 10} "
            "or more.",
        )
    else:
        yield _ok("connections", f"{says}.")


def clocks(whose: str, offset_s: float) -> Check:
    """Judge how far a machine's clock is ahead of the database's, which is the one that counts."""
    size = abs(offset_s)
    if size < 1.0:
        return _ok(
            "clocks", f"The clock of {whose} and the database's are less than a second apart."
        )
    way = "ahead of" if offset_s > 0 else "behind"
    says = (
        f"The clock of {whose} is {say_duration(timedelta(seconds=size))} {way} the database's. "
        "What is due goes by the database's; times that people read may not."
    )
    remedy = "Let both machines follow NTP (timedatectl set-ntp true)."
    return (_problem if size > OFFSET_S_MAX else _warning)("clocks", says, remedy)


def _room(facts: Facts) -> Iterator[Check]:
    takes = f"The database takes {say_bytes(facts.server.bytes)}"
    disk = facts.about.disk()
    if not facts.about.is_embedded:
        yield _ok("disk", f"{takes} on a machine of yours: watch its disk there.")
        return
    if disk is None:
        yield _warning("disk", f"{takes}; its disk cannot be looked at.", "Look at it with df.")
        return
    yield room(disk, takes)


def room(disk: Disk, takes: str) -> Check:
    """Judge how much room a disk has; ``takes`` says what fills it, without the stop."""
    share = disk.free / disk.total if disk.total else 0.0
    says = f"{takes}; {say_bytes(disk.free)} of {say_bytes(disk.total)} are free ({share:.0%})."
    remedy = (
        "Make room on the disk, or shorten the retention. Delete nothing in the data folder but "
        "compiled.msgpack."
    )
    if share < DISK_FREE_MIN:
        return _problem("disk", f"{says} A database without room takes nothing in.", remedy)
    if share < DISK_FREE_WANTED:
        return _warning("disk", says, remedy)
    return _ok("disk", says)


# -- Processes and their work ----------------------------------------------------------------------


def _processes(facts: Facts) -> Iterator[Check]:
    seen = facts.standing.processes
    alive = [process for process in seen if process.is_alive]
    if alive and not any(process.role in ("all", "worker") for process in alive):
        yield _problem(
            "processes",
            "No process decides or delivers anything: all that are alive have the role web.",
            "Start one with tocsin serve --role worker.",
        )
    for process in seen:
        if not process.is_alive:
            silent = say_duration(timedelta(seconds=process.silent_s))
            yield _warning(
                "processes",
                f"Process {process.id} ({process.role}, {process.version}) has shown no life for "
                f"{silent}: it was killed, or it is frozen. The others have its work.",
                "Look why. Where it is known to be gone, there is nothing to do: it is forgotten "
                "after a day.",
            )
    for what, values in (
        ("versions", {process.version for process in alive}),
        ("revisions of the runbook", {process.revision[:12] for process in alive} - {""}),
    ):
        if len(values) > 1:
            yield _warning(
                "processes",
                f"Several {what} run side by side: {', '.join(sorted(values))}.",
                "While an upgrade or an edit is rolled out, that is as it should be. Otherwise "
                "bring the others up to date.",
            )
    for beat in facts.about.beats():
        if beat.is_late:
            yield (_problem if beat.is_vital else _warning)(
                "processes",
                f"In the process that was asked: {say_late(beat)}",
                "Its log says why. If it does not, start it again; nothing is lost by that.",
            )
    if alive:
        roles = Counter(process.role for process in alive)
        listed = ", ".join(f"{number} {role}" for role, number in sorted(roles.items()))
        says = f"{len(alive)} are alive: {listed}." if len(alive) > 1 else "One is alive."
        yield _ok("processes", says)


def _work(facts: Facts) -> Iterator[Check]:
    standing = facts.standing
    overdue_s = standing.timer_oldest_due_s
    if overdue_s > OVERDUE_S_MAX:
        yield _problem(
            "escalations",
            f"{_counted(standing.timers_due, 'timer')} are due and have not fired, the oldest for "
            f"{say_duration(timedelta(seconds=overdue_s))}.",
            "See under processes which of them, or which loop, stands still.",
        )
    else:
        yield _ok("escalations", "No timer is overdue.")
    waiting = sum(kind.number for kind in standing.inputs.values())
    oldest_s = max((kind.oldest_s for kind in standing.inputs.values()), default=0.0)
    says = (
        f"{_counted(waiting, 'input')} {'waits' if waiting == 1 else 'wait'} to be decided, the "
        f"oldest for {say_duration(timedelta(seconds=oldest_s))}."
    )
    if oldest_s > OVERDUE_S_MAX:
        most = max(standing.busiest, key=lambda name: standing.busiest[name], default="")
        if most:
            says += f" Most is from {shown(most)} ({standing.busiest[most]:,})."
        yield _problem(
            "backlog",
            says,
            "See why so much is sent; add a worker, or find what keeps the database busy.",
        )
    else:
        yield _ok("backlog", says if waiting else "Nothing waits to be decided.")
    held = {kind: jobs.held for kind, jobs in standing.jobs.items() if jobs.held}
    for kind, number in held.items():
        yield _warning(
            "jobs",
            f"{_counted(number, f'{kind} job')} failed by a defect and are held. The sweep does "
            "their work meanwhile.",
            "The log has the trace; please report it. They are forgotten after a week.",
        )


def _pages(facts: Facts) -> Iterator[Check]:
    standing = facts.standing
    oldest_s = max((kind.oldest_s for kind in standing.deliveries.values()), default=0.0)
    pending = sum(kind.number for kind in standing.deliveries.values())
    is_well = True
    if oldest_s > UNDELIVERED_S_MAX:
        is_well = False
        yield _problem(
            "pages",
            f"A page or notice has been due for {say_duration(timedelta(seconds=oldest_s))} and "
            f"has not left; {pending} are under way.",
            "See under processes whether a worker is alive, and with tocsin deliveries which "
            "channel is slow.",
        )
    if standing.failed_lately:
        is_well = False
        were = "page or notice was" if standing.failed_lately == 1 else "pages or notices were"
        yield _warning(
            "pages",
            f"{standing.failed_lately} {were} given up in the last hour.",
            "tocsin deliveries says why.",
        )
    if is_well:
        under_way = f"{pending} under way; none" if pending else "No page and no notice"
        yield _ok("pages", f"{under_way} was given up in the last hour.")


# -- Whom it reaches, and who reaches it -----------------------------------------------------------


def _contacts(facts: Facts) -> Iterator[Check]:
    if not facts.ways:
        yield _problem(
            "contacts",
            "The settings name no contact at all: pages appear in the app only.",
            "Name some under [people.NAME] in tocsin.toml; tocsin init shows how.",
        )
        return
    untested = []
    for way in facts.ways:
        row = facts.contacts.get(str(way.contact))
        state = way.state(facts.contacts)
        if way.missing:
            yield _problem(
                "contacts",
                f"{_whose(way)} leads nowhere: {way.missing}.",
                "Set it in tocsin.toml, and start again.",
            )
        elif state == FAILING and row is not None and row.failed_at is not None:
            since = say_duration(facts.standing.at - row.failed_at)
            yield _problem(
                "contacts",
                f"{_whose(way)} failed {since} ago: {shown(row.detail)}",
                f"Mend it, and try it: tocsin contacts test {way.contact}",
            )
        elif state == UNTESTED:
            untested.append(way)
    if untested:
        have = "contact has" if len(untested) == 1 else "contacts have"
        yield _warning(
            "contacts",
            f"{len(untested)} {have} never been used: {_some(str(w.contact) for w in untested)}.",
            "Try them before somebody counts on them: tocsin contacts test",
        )
    delivered = sum(way.state(facts.contacts) == "delivered" for way in facts.ways)
    if delivered:
        yield _ok(
            "contacts", f"{delivered} of {len(facts.ways)} delivered when they were last used."
        )


def _whose(way: Way) -> str:
    return f"{way.contact} ({', '.join(way.whose[:3])})"


def _roles(facts: Facts) -> Iterator[Check]:
    found = [f for f in facts.findings if f.code in _NOBODY_IS_REACHED]
    for finding in found[:LISTED_MAX]:
        yield _problem("roles", f"{finding.message} ({finding.source})", finding.remedy)
    if not found:
        yield _ok("roles", "Somebody with a contact holds every role that the runbook pages.")


def _senders(facts: Facts) -> Iterator[Check]:
    senders = [s for s in facts.standing.senders if s.source != _REPORT]
    if not senders:
        yield _warning(
            "senders",
            "Nobody has sent an alert yet.",
            "Let Prometheus send here: docs/integrations/prometheus.md.",
        )
        return
    silent = [s for s in senders if s.silent_s > SILENT_S_MAX]
    for sender in silent[:LISTED_MAX]:
        yield _warning(
            "senders",
            f"{_sender(sender)} was last heard "
            f"{say_duration(timedelta(seconds=sender.silent_s))} ago.",
            "Either nothing fired, or it cannot reach Tocsin. An alert that always fires tells "
            "the two apart: docs/operations.md#a-sender-is-silent.",
        )
    heard = [s for s in senders if s not in silent]
    if heard:
        latest = min(heard, key=lambda s: s.silent_s)
        ago = say_duration(timedelta(seconds=max(latest.silent_s, 0.0)))
        yield _ok(
            "senders",
            f"{_counted(len(heard), 'sender')} heard within a day, {_sender(latest)} {ago} ago.",
        )


def _sender(sender: SenderSeen) -> str:
    return f"{shown(sender.name)} ({sender.source})"


def _put_aside(facts: Facts) -> Iterator[Check]:
    if not facts.put_aside:
        yield _ok("quarantine", "Nothing was put aside: all that came could be read and decided.")
    for each in facts.put_aside[:LISTED_MAX]:
        ago = say_duration(facts.standing.at - each.newest_at)
        yield _warning(
            "quarantine",
            f"{each.number} from {shown(each.source)}, the last {ago} ago: {shown(each.why)}",
            "Nobody was paged for these. Mend the sender; the bytes are kept in the table "
            "quarantine.",
        )


# -- Itself ----------------------------------------------------------------------------------------


def _runbook(facts: Facts) -> Iterator[Check]:
    if facts.edit_is_refused:
        yield _problem(
            "runbook",
            "An edit of the runbook has errors and is not in force; the revision before it is.",
            "tocsin check says which lines.",
        )
    levels = Counter(f.level for f in facts.findings if f.code not in _NOBODY_IS_REACHED)
    warnings = levels[Level.WARNING] + levels[Level.ERROR]
    if warnings:
        yield _warning(
            "runbook",
            f"{_counted(warnings, 'line')} of it cannot be honoured, or not as written.",
            "tocsin check says which, and what to write instead.",
        )
    elif not facts.edit_is_refused:
        yield _ok("runbook", f"In force; {_counted(levels[Level.INFO], 'remark')}.")


def _people(facts: Facts) -> Iterator[Check]:
    if facts.admins:
        holds = "person holds" if facts.admins == 1 else "people hold"
        yield _ok("people", f"{facts.admins} {holds} the role admin.")
    else:
        yield _warning(
            "people",
            "Nobody is an admin by name: whatever is done with admin.token is done by nobody "
            "in particular.",
            "Make one: tocsin user add ona --role admin",
        )


def _watch(about: About) -> Iterator[Check]:
    if about.watchdog_contacts:
        listed = _some(about.watchdog_contacts)
        yield _ok("watchdog", f"Trouble of its own is told to {listed}.")
    else:
        yield _warning(
            "watchdog",
            "Nobody is told when a loop of Tocsin stands still or its database is away.",
            "Name contacts under [watchdog] in tocsin.toml.",
        )
    if about.has_heartbeat:
        yield _ok("heartbeat", "It goes to an address outside while all is well.")
    else:
        yield _warning(
            "heartbeat",
            "Nobody outside would notice if this machine were gone.",
            "Set [heartbeat] url in tocsin.toml to a service that misses it, or let a Prometheus "
            "elsewhere watch /metrics.",
        )


def _retention(facts: Facts) -> Iterator[Check]:
    # Until the database first counts them, it has no idea.
    events = facts.standing.journal_about
    about = f" (about {events:,} events)" if events else ""
    takes = f"The journal takes {say_bytes(facts.standing.journal_bytes)}{about}"
    if facts.about.retention:
        yield _ok("retention", f"{takes}. {facts.about.retention}")
    else:
        yield _warning(
            "retention",
            f"{takes}, and nothing of it is ever pruned.",
            "Say under [retention] in tocsin.toml how long things are kept.",
        )


# -- Words -----------------------------------------------------------------------------------------


def say_bytes(number: float) -> str:
    """Return a size as people say it: "512 B", "48 MB", "1.9 TB"."""
    power = 0
    while number >= 1000 and power < len(_BYTES) - 1:
        number, power = number / 1000, power + 1
    digits = 1 if power and number < 10 else 0
    return f"{number:.{digits}f} {_BYTES[power]}"


def shown(text: str) -> str:
    """Return text that came from outside, short enough for a line."""
    words = " ".join(text.split())
    if len(words) <= _SHOWN_CHARACTERS_MAX:
        return words
    return f"{words[: _SHOWN_CHARACTERS_MAX - 1]}…"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    rest = len(listed) - LISTED_MAX
    return ", ".join(listed[:LISTED_MAX]) + (f" and {rest} more" if rest > 0 else "")


def _counted(number: int, word: str, plural: str = "s") -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}{plural}"


def worst(checks: Iterable[Check]) -> Verdict:
    """Return the worst verdict of all."""
    order = list(Verdict)
    return max((check.verdict for check in checks), key=order.index, default=Verdict.OK)
