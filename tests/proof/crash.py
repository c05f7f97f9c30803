"""Bursts of alerts against a server that is killed again and again, and started at once.

Half of the kills fall at the named crash points of the code, the others at any moment; now and then
PostgreSQL is killed with it. Half of the bursts meet one server with its embedded database, half of
them two servers on one PostgreSQL. Meanwhile people acknowledge, note, resolve and silence. At the
end everything that was accepted is looked up in the database and at the receiver of the pages.
"""

from __future__ import annotations

import collections
import contextlib
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from tests.proof.harness import (
    Figures,
    Postgres,
    Replica,
    Sending,
    Sink,
    Trouble,
    arguments,
    deploy,
    now_s,
    pause,
    say,
    wait_for,
    workplace,
)
from tests.proof.people import People
from tests.proof.reckoning import Uptime, reckon
from tocsin.base import faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.proof.sender import Accepted

LATE_S_MAX = 30.0
DUPLICATES_MAX = 0.005
WHOLE_ALERTS = 10_000
LEVELS = ("P1", "P1", "P1", "P2")
ROLES = ("on-call", "lead", "manager")
# A point is reached after at most so many visits; rare ones at once.
_NTH_MAX = {"turn": 25, "courier": 15, "timer": 8, "intake": 10}
PATIENCE_S = 8.0
START_S_MAX = 60.0
TRICKLE = 8.0
AT_POINT = "tocsin: crash point "


class Kill(msgspec.Struct, frozen=True):
    """One kill: at a crash point, or so long after the process was started.

    ``database`` says that PostgreSQL is killed too, in the same moment.
    """

    point: str = ""
    after_s: float = 0.0
    database: bool = False

    @property
    def name(self) -> str:
        return self.point.partition(":")[0]


class Life(msgspec.Struct):
    """One replica from a start to the next: what it is going to end by, if by anything."""

    replica: Replica
    kill: Kill | None = None
    began: float = 0.0
    ready: float = 0.0

    @property
    def ends(self) -> float:
        """When it is killed from outside; at a point only if it does not come there in time."""
        assert self.kill is not None
        if not self.kill.point:
            return self.began + self.kill.after_s
        return (self.ready or self.began + START_S_MAX) + PATIENCE_S


class Scale(msgspec.Struct, frozen=True):
    """How much is thrown at it."""

    bursts: int
    alerts: int
    rate: float
    kills: int
    services: int
    ladder: dict[str, tuple[int, ...]]
    stability: str
    repeat_every: str

    @property
    def words(self) -> str:
        return (
            f"{self.kills} kills during {self.bursts} bursts of {self.alerts:,} alerts "
            f"at {self.rate:g}/s, {self.services} services each"
        )


def main(argv: list[str] | None = None) -> int:
    parser = arguments("crash", __doc__)
    parser.add_argument("--bursts", type=int, help="how many bursts (50; short: 2)")
    parser.add_argument("--alerts", type=int, help="alerts in a burst (1000; short: 400)")
    parser.add_argument("--rate", type=float, help="alerts a second (200)", default=200)
    parser.add_argument("--kills", type=int, help="how many kills (500; short: 20)")
    parser.add_argument("--services", type=int, help="services in a burst (200; short: 80)")
    parser.add_argument("--only", choices=["embedded", "replicas"], help="one of the two halves")
    parser.add_argument("--keep", action="store_true", help="keep the files of the run")
    options = parser.parse_args(argv)
    short = options.short
    scale = Scale(
        bursts=options.bursts or (2 if short else 50),
        alerts=options.alerts or (400 if short else 1000),
        rate=options.rate,
        kills=options.kills or (20 if short else 500),
        services=options.services or (80 if short else 200),
        ladder={"P1": (3, 6), "P2": (8,)} if short else {"P1": (6, 12), "P2": (20, 40)},
        stability="5s" if short else "20s",
        repeat_every="20s" if short else "2m",
    )
    chance = random.Random(options.seed)  # noqa: S311 - a seed that can be told
    say(f"make crash: {scale.words}; seed {options.seed}")
    halves = [options.only] if options.only else ["embedded", "replicas"]
    kills = planned(scale.kills, len(halves), chance, short=short)
    with workplace("crash", keep=options.keep) as folder:
        done = []
        for number, name in enumerate(halves):
            bursts = len(range(number, scale.bursts, len(halves)))
            place = folder / name
            place.mkdir(0o711)
            place.chmod(0o711)
            half = Half(name, place, scale, bursts, kills[number], chance)
            half.run()
            done.append(half)
        figures = _figures(done, scale, options.seed)
        status = figures.finish(write=options.write)
        for half in done:
            half.tell()
        if status:
            raise SystemExit(_kept(folder, options.seed))
    return status


def _kept(folder: Path, seed: int) -> int:
    say(f"Every log and table is kept under {folder}; the same chances again: --seed {seed}")
    return 1


def planned(
    count: int, halves: int, chance: random.Random, *, short: bool = False
) -> list[list[Kill]]:
    """Return the kills of each half: every crash point as often as any other, then moments."""
    points = [faults.NAMES[n % len(faults.NAMES)] for n in range(max(count // 2, 0))]
    if count // 2 < len(faults.NAMES) <= count:
        points = list(faults.NAMES)  # In the short form too, each point is met.
    kills = [Kill(f"{name}:{chance.randint(1, _nth_max(name))}") for name in points]
    moments = count - len(kills)
    kills += [
        # Most of them fall while it serves, some while it starts.
        Kill(after_s=chance.uniform(0.2, 4.0 if short else 8.0), database=n % 10 == 0)
        for n in range(moments)
    ]
    chance.shuffle(kills)
    return [kills[n::halves] for n in range(halves)]


def _nth_max(name: str) -> int:
    return _NTH_MAX.get(name.split(".")[0], 1)


class Half:
    """The bursts that meet one kind of system: embedded, or two replicas on one PostgreSQL."""

    def __init__(
        self,
        name: str,
        folder: Path,
        scale: Scale,
        bursts: int,
        kills: list[Kill],
        chance: random.Random,
    ) -> None:
        self.name, self.folder, self.scale, self.bursts = name, folder, scale, bursts
        self.kills = kills
        self.chance = chance
        self.uptime = Uptime()
        self.accepted: list[Accepted] = []
        self.ended: dict[str, float] = {}
        self.reached: collections.Counter[str] = collections.Counter()
        self.met = 0
        self.killed = 0
        self.answers: collections.Counter[int] = collections.Counter()
        self.strange: list[str] = []

    # -- The run -----------------------------------------------------------------------------------

    def run(self) -> None:
        with contextlib.ExitStack() as stack:
            self.sink = stack.enter_context(Sink(self.folder))
            deploy(
                self.folder,
                self.sink,
                self.scale.ladder,
                repeat_every=self.scale.repeat_every,
                settings=f'[incidents]\nstability = "{self.scale.stability}"',
            )
            self.database: Postgres | None = None
            url = ""
            if self.name == "replicas":
                self.database = stack.enter_context(Postgres(self.folder / "pg"))
                url = self.database.url
            names = ("one", "two") if url else ("one",)
            self.replicas = [Replica(self.folder, url, name=name) for name in names]
            for replica in self.replicas:
                stack.enter_context(replica)
            self.uptime.up(now_s())
            with People(self.replicas, self.chance) as people:
                self.people = people
                self._bursts()
            self._settle()
            self.found = reckon(self.replicas[0].sql_url, self.sink.calls())
            self._judge()

    def _bursts(self) -> None:
        """Send burst after burst while the kills go on; done when both have come to their end."""
        left = list(self.kills)
        lives = {replica.name: Life(replica) for replica in self.replicas}
        before: list[dict] = []
        for burst in range(self.bursts):
            alerts, fired = self._alerts(burst, before)
            began = now_s()
            share = len(self.kills) * (burst + 1) // self.bursts
            with self._sending(alerts, self.scale.rate) as sending, self._trickle(burst):
                while self.killed < share or not sending.is_done:
                    for life in lives.values():
                        self._look_after(life, left if self.killed < share else [])
                    self._note()
                    pause(0.01)
                    if now_s() > began + 60 + 8 * len(self.kills) / self.bursts:
                        raise Trouble(f"burst {burst} does not end: {dict(sending.answers())}")
            for each in sending.accepted():
                if "endsAt" in each.alert:
                    # From its first try on, its end may have been heard.
                    self.ended[each.alert["labels"]["alertname"]] = began
            before = fired
            say(
                f"  {self.name}: burst {burst + 1} of {self.bursts}, {self.killed} of "
                f"{len(self.kills)} kills ({self.met} at their points), "
                f"{len(self.accepted):,} alerts accepted, {len(self.sink.calls()):,} calls, "
                f"{now_s() - began:.0f} s"
            )

    @contextlib.contextmanager
    def _sending(self, alerts: list[dict], rate: float) -> Iterator[Sending]:
        inlets = [replica.inlet for replica in self.replicas]
        sending = Sending(self.folder, inlets, alerts, rate)
        try:
            yield sending
        finally:
            sending.stop()
        self.answers += sending.answers()
        self.accepted += [a for a in sending.accepted() if "endsAt" not in a.alert]

    @contextlib.contextmanager
    def _trickle(self, burst: int) -> Iterator[None]:
        """Between bursts something always comes in: a new alert now and then, of a few services."""
        alerts = [
            {
                "labels": {
                    "alertname": f"{self.name}-{burst}-trickle-{n}",
                    "service": f"{self.name}-{burst}-trickle-{n // 8}",
                    "severity": "P1",
                }
            }
            for n in range(5_000)
        ]
        inlets = [replica.inlet for replica in self.replicas]
        sending = Sending(self.folder, inlets, alerts, TRICKLE, per_request=1, connections=2)
        try:
            yield
        finally:
            sending.stop()
        self.accepted += sending.accepted()

    def _look_after(self, life: Life, left: list[Kill]) -> None:
        """See to one replica: kill it when it is time, and start it again whenever it is dead."""
        replica = life.replica
        if replica.pid is not None:
            if replica.is_ready():
                life.ready = life.ready or now_s()
            if life.kill is None and life.ready and left:
                life.kill, life.began = left.pop(0), now_s()
                if life.kill.point:
                    # Where it shall die it can only be told when it starts.
                    replica.kill()
                    self._begin(life)
            if life.kill is None or now_s() < life.ends:
                return
            self._end(replica, life.kill)
        elif life.kill is not None and life.kill.point and AT_POINT in replica.output:
            self.met += 1
            self.reached[life.kill.name] += 1
            self.killed += 1
        else:
            self.strange.append(
                f"{replica.name} ended by itself with {replica.status}: {replica.output[-600:]}"
            )
            # The kill that was meant for it is still to come.
            self._begin(life)
            return
        life.kill = left.pop(0) if left else None
        self._begin(life)

    def _begin(self, life: Life) -> None:
        self._note()
        life.replica.crash_at = life.kill.point if life.kill is not None else ""
        life.replica.start(wait=False)
        life.began, life.ready = now_s(), 0.0

    def _end(self, replica: Replica, kill: Kill) -> None:
        replica.kill(database=kill.database)
        self.killed += 1
        if kill.database and self.database is not None:
            self.database.restart("kill", wait=False)

    def _note(self) -> None:
        """Note whether the system can work: its database, and at least one process."""
        working = any(replica.is_ready() for replica in self.replicas)
        if working and (self.database is None or self.database.is_ready):
            self.uptime.up(now_s())
        else:
            self.uptime.down(now_s())

    def _alerts(self, burst: int, before: list[dict]) -> tuple[list[dict], list[dict]]:
        """Return what a burst sends, and those of its alerts that the next may end."""
        at = datetime.now(UTC)  # noqa: TID251 - a sender's own time
        each = max(1, self.scale.alerts // self.scale.services)
        fired = [
            {
                "labels": {
                    "alertname": f"{self.name}-{burst}-{n}",
                    "service": f"{self.name}-{burst}-{n // each}",
                    "severity": LEVELS[(n // each) % len(LEVELS)],
                },
                "annotations": {"summary": f"Alert {n} of burst {burst}"},
                "startsAt": at.isoformat(),
            }
            for n in range(self.scale.alerts)
        ]
        over = {alert["labels"]["service"] for alert in before}
        over = set(sorted(over)[::2])
        ends = [
            {**alert, "endsAt": at.isoformat()}
            for alert in before
            if alert["labels"]["service"] in over
        ]
        some = [*fired, *ends]
        self.chance.shuffle(some)
        return some, fired

    def _all_up(self) -> None:
        for replica in self.replicas:
            if replica.pid is None:
                replica.start(wait=False)
        for replica in self.replicas:
            replica.wait_until_ready()
        self.uptime.up(now_s())

    def _settle(self) -> None:
        """Give everything its time: the longest ladder, what may be late, and the quiet window."""
        self._all_up()
        longest = max(max(delays) for delays in self.scale.ladder.values())
        deadline = now_s() + longest + LATE_S_MAX + 10
        wanted = self._wanted()
        url = self.replicas[0].sql_url

        def quiet() -> bool:
            calls = self.sink.calls()
            paged = {(call.body.get("service"), call.contact) for call in calls}
            return now_s() > deadline or (
                wanted.keys() <= paged and not reckon(url, ()).left_over and self._all_quiet(url)
            )

        wait_for(quiet, longest + LATE_S_MAX + 60, "everything to be over", every_s=1)

    def _all_quiet(self, url: str) -> bool:
        """Say whether no quiet window of an incident runs any more."""
        found = reckon(url, ())
        return all(state.monitoring_until is None for state in found.incidents.values())

    # -- What must be so ---------------------------------------------------------------------------

    def _wanted(self) -> dict[tuple[str, str], float]:
        """Return who must have been paged for which service, and when that came due.

        Not those whose alerts ended, or whom a person ended: they may be over before a rung is due.
        """
        over = {
            alert.alert["labels"]["service"]
            for alert in self.accepted
            if alert.alert["labels"]["alertname"] in self.ended
        }
        resolved = self.people.ended()
        services = {
            call.body.get("service") for call in self.sink.calls() if call.incident in resolved
        }
        due: dict[tuple[str, str], float] = {}
        for each in sorted(self.accepted, key=lambda a: a.at):
            labels = each.alert["labels"]
            service = labels["service"]
            if service in services:
                continue
            delays = (0, *self.scale.ladder[labels["severity"]])
            for who, delay_s in zip(ROLES, delays, strict=False):
                if delay_s == 0 or service not in over:
                    due.setdefault((service, who), each.at + delay_s)
        return due

    def _judge(self) -> None:
        found = self.found
        self.wanted = self._wanted()
        first = found.first_pages()
        self.missed = found.missed(self.wanted)
        self.late = {
            key: self.uptime.between(due, first[key])
            for key, due in self.wanted.items()
            if key in first
        }
        self.lost = found.lost(self.accepted)
        self.unended = found.still_firing(self.ended)
        self.forgotten = self.people.forgotten(found)

    def tell(self) -> None:
        """Say what broke, with the story of the first service of each kind."""
        too_late = [
            f"{service}: {who} paged {late_s:.0f} s late once up"
            for (service, who), late_s in self.late.items()
            if late_s > LATE_S_MAX
        ]
        for kind, rows in {
            "lost": self.lost,
            "still firing": self.unended,
            "missed": self.missed,
            "late": too_late,
            "acts forgotten": self.forgotten,
            "doubled acts": self.found.doubled_acts,
            "unknown keys": self.found.strange_keys,
            "never delivered": self.found.undelivered,
            "deaths of its own": self.strange,
            "wrong states": self.found.wrong_states,
            "wrong timers": self.found.wrong_timers,
            "left over": self.found.left_over,
        }.items():
            if rows:
                say(f"\n{self.name}, {kind} ({len(rows)}):")
                say("\n".join(f"  {row}" for row in rows[:10]))
        for row in [*self.missed, *too_late, *self.unended][:2]:
            service = row.split(":")[0]
            say(f"\nThe story of {service}:\n{self.found.story(service)}")


def _figures(halves: list[Half], scale: Scale, seed: int) -> Figures:
    figures = Figures("crash", scale=scale.words, seed=seed)
    every = collections.Counter[str]()
    for half in halves:
        every += half.reached

    def count(name: str, rows: str) -> None:
        total = sum(len(getattr(half, rows)) for half in halves)
        figures.add(name, total, 0, ok=total == 0)

    def found(name: str, rows: str) -> None:
        total = sum(len(getattr(half.found, rows)) for half in halves)
        figures.add(name, total, 0, ok=total == 0)

    killed = sum(half.killed for half in halves)
    figures.add("kills", killed, f">= {scale.kills}", ok=killed >= scale.kills)
    figures.add(
        "of them at their crash point",
        sum(half.met for half in halves),
        f"of {sum(bool(kill.point) for half in halves for kill in half.kills)}",
    )
    missing = sorted(set(faults.NAMES) - set(every))
    figures.add(
        "crash points met",
        f"{len(every)} of {len(faults.NAMES)}",
        "all" if scale.kills >= 2 * len(faults.NAMES) else "",
        ok=not missing or scale.kills < 2 * len(faults.NAMES),
    )
    figures.add("alerts accepted", sum(len(half.accepted) for half in halves))
    count("accepted alerts lost", "lost")
    count("accepted ends of alerts lost", "unended")
    figures.add("acts of people accepted", sum(len(half.people.done) for half in halves))
    count("accepted acts forgotten", "forgotten")
    figures.add("escalations due", sum(len(half.wanted) for half in halves))
    count("escalations missed", "missed")
    late = [late_s for half in halves for late_s in half.late.values()]
    late.sort()
    figures.add("lateness once up, median", f"{late[len(late) // 2]:.1f} s")
    figures.add(
        "lateness once up, worst",
        f"{late[-1]:.1f} s",
        f"<= {LATE_S_MAX:g} s",
        late[-1] <= LATE_S_MAX,
    )
    pages = sum(len(half.found.pages) for half in halves)
    again = sum(half.found.duplicates for half in halves)
    figures.add("pages at the receiver", pages)
    # A share of what is sent between two kills; so only at full length does it say anything.
    is_whole = scale.alerts * scale.bursts >= WHOLE_ALERTS
    figures.add(
        "of them again, under the same key",
        f"{again} ({again / max(pages, 1):.2%})",
        f"<= {DUPLICATES_MAX:.1%}" if is_whole else "",
        ok=again <= DUPLICATES_MAX * pages or not is_whole,
    )
    found("acts doubled under another key", "doubled_acts")
    found("keys that no journal knows", "strange_keys")
    found("pages asked for and not delivered", "undelivered")
    count("ends that nobody caused", "strange")
    found("streams whose journal folds otherwise", "wrong_states")
    found("timers missing, or of what is over", "wrong_timers")
    found("inputs, deliveries, bytes left over", "left_over")
    return figures


if __name__ == "__main__":
    raise SystemExit(main())
