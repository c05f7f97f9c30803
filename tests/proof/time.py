"""Clocks that jump while escalations run: the database's, ours, both; a suspended machine; a leap second.

Incidents open twice a second around each jump, each with a ladder of seconds, so that a jump falls
before, into and after every rung. Both clocks are faked by libfaketime: each process reads, at every
look at the time of day, how far off it is to be. The receiver's clock is the right one. When a rung
must fire follows from when its incident began and which jumps came since: a jump back moves nothing
(of a second: late by that second), a jump forward brings what is due by the new time at once.

Suspended means: both processes stopped (SIGSTOP), the time of day an hour on, and the clock that
counts time asleep too (asleep.c, where there is a C compiler; without, that clock stands still, as
after a virtual machine was brought back from a snapshot).

Traps: libfaketime must not touch the monotonic clock (FAKETIME_DONT_FAKE_MONOTONIC), or every wait
of the event loop and of PostgreSQL goes wrong with it; it must not cache (FAKETIME_NO_CACHE), or a
jump is seen a second late, by each backend at another moment; the file it reads is replaced as a
whole, never written in place, since half a number is a time too; and it must be readable for the
user that PostgreSQL runs as. A signal that comes while libfaketime reads that file is handled by the
real time: PostgreSQL then thinks that its own timeouts have passed, and ends sessions and statements
for seconds after a jump back. Tocsin has to live with that here, as with a restart.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tests.proof.harness import (
    PEOPLE,
    ROOT,
    Figures,
    Postgres,
    Replica,
    Sending,
    Sink,
    arguments,
    deploy,
    now_s,
    pause,
    say,
    wait_for,
    workplace,
)
from tocsin.core.timekeeping import STEP_S_MIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.proof.sink import Call

LATE_S_MAX = 5.0
# The clocks of two processes are compared, and a page takes a moment from its database to its
# receiver: less than this is not early.
EARLY_S_MAX = 0.3
DELAYS_S = (0, 4, 8)
BEFORE_S, AFTER_S, PER_S = 4.0, 2.0, 3.0
STOPPED_S = 3.0
HOUR_S = 3600
_LIBRARIES = (
    "/usr/lib/*/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
    "/usr/local/lib/faketime/libfaketime.so.1",
)
_ROLES = tuple(PEOPLE)[: len(DELAYS_S)]


class Case(msgspec.Struct, frozen=True):
    """One jump: whose clock, by how much, and whether everything is stopped meanwhile."""

    whose: str
    by_s: int
    suspended: bool = False

    def __str__(self) -> str:
        if self.suspended:
            return f"suspended for {self.by_s} s"
        return f"{self.whose} clock {self.by_s:+d} s"

    @property
    def moves_database(self) -> int:
        """By how much the clock that decides jumps."""
        return self.by_s if self.whose in ("database", "both") else 0


class Rung(msgspec.Struct, frozen=True):
    """What must reach the receiver: whom, and when at the earliest (UNIX seconds)."""

    incident: str
    person: str
    due_at: float


class Result(msgspec.Struct):
    """What came of the rungs of one case."""

    rungs: int = 0
    missed: int = 0
    early: int = 0
    twice: int = 0
    again: int = 0
    late_s: float = 0.0

    def add(self, other: Result) -> None:
        """Add another case."""
        self.rungs += other.rungs
        self.missed += other.missed
        self.early += other.early
        self.twice += other.twice
        self.again += other.again
        self.late_s = max(self.late_s, other.late_s)


JUMPS_S = (1, 10, 60, 600, HOUR_S, 12 * HOUR_S, 24 * HOUR_S)
# Forward, then back again: so that no case begins with a clock that is off.
_EVERY_CASE = [
    *(Case(w, by * way) for w in ("database", "ours", "both") for by in JUMPS_S for way in (1, -1)),
    Case("both", HOUR_S, suspended=True),
    Case("both", -HOUR_S),
    Case("both", -1),
    Case("both", 1),
]
_SHORT = [
    Case("database", -HOUR_S),
    Case("database", HOUR_S),
    Case("both", HOUR_S, suspended=True),
    Case("both", -1),
]


def library() -> Path | None:
    """Return libfaketime, where the machine has it."""
    found = (path for pattern in _LIBRARIES for path in sorted(Path("/").glob(pattern[1:])))
    return next(found, None)


class Clock:
    """The time of day of one process, off by so many seconds from now on."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / f"{name}.clock"
        self.off_s = 0
        self.set(0)

    def set(self, off_s: int) -> None:
        """Set the clock; returns when it is so."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{off_s:+d}\n")
        fresh.chmod(0o644)
        fresh.replace(self.file)
        self.off_s = off_s

    def environment(self, faketime: Path, before: Sequence[Path] = ()) -> dict[str, str]:
        """Return what makes a process read this clock; ``before`` are loaded first."""
        return {
            "LD_PRELOAD": ":".join(str(path) for path in (*before, faketime)),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


class Sleep:
    """The clock that counts time asleep, for one process; without a compiler it stands still."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "asleep"
        self._slept_s = 0
        self._write()
        self.library = folder / "asleep.so"
        compiler = shutil.which("cc") or shutil.which("gcc")
        self.is_simulated = compiler is not None
        if compiler is not None:
            source = ROOT / "tests" / "proof" / "asleep.c"
            subprocess.run(
                [compiler, "-shared", "-fPIC", "-O1", "-o", self.library, source, "-ldl"],
                check=True,
            )

    @property
    def environment(self) -> dict[str, str]:
        return {"ASLEEP_FILE": str(self._file)} if self.is_simulated else {}

    def sleep(self, seconds: int) -> None:
        """Let so much time pass asleep."""
        self._slept_s += seconds
        self._write()

    def _write(self) -> None:
        mode = "r+b" if self._file.exists() else "wb"
        with self._file.open(mode) as file:
            file.write(struct.pack("=q", self._slept_s))


class Trial:
    """One database and one Tocsin with clocks of their own, and the receiver of their pages."""

    def __init__(self, folder: Path, faketime: Path, sink: Sink) -> None:
        self.folder = folder
        self.sink = sink
        self.theirs = Clock(folder, "database")
        self.ours = Clock(folder, "ours")
        self.sleep = Sleep(folder)
        deploy(folder, sink, {"P1": DELAYS_S[1:]}, repeat_every="7d")
        self.database = Postgres(folder / "external", **self.theirs.environment(faketime))
        before = [self.sleep.library] if self.sleep.is_simulated else []
        environment = {**self.ours.environment(faketime, before), **self.sleep.environment}
        self.replica = Replica(folder, self.database.url, **environment)
        self.cases = 0

    def run(self, case: Case) -> Result:
        """Let one jump happen while incidents begin and escalate, and see what became of them."""
        self.cases += 1
        number = round((BEFORE_S + AFTER_S) * PER_S)
        alerts = [
            {"labels": {"alertname": f"A{n}", "service": f"c{self.cases}-{n}", "severity": "P1"}}
            for n in range(number)
        ]
        inlets = [self.replica.inlet]
        sending = Sending(self.folder, inlets, alerts, PER_S, per_request=1, timeout_s=60)
        pause(BEFORE_S)
        before_s = self.theirs.off_s
        jumped_at, resumed_at = self._jump(case)
        sending.wait(60)
        incidents = self._incidents(number)
        first_calls = {call.incident: call.at for call in reversed(self.sink.calls())}
        rungs = [
            rung
            for incident, opened in incidents.items()
            for rung in _ladder(
                case,
                incident,
                _began(case, opened - before_s, jumped_at, first_calls.get(incident, now_s())),
                (jumped_at, resumed_at),
            )
        ]
        last = max(rung.due_at for rung in rungs)
        pause(max(0.0, last + LATE_S_MAX - now_s()))
        result = self._judge(rungs)
        self._end(incidents)
        return result

    def _jump(self, case: Case) -> tuple[float, float]:
        """Set the clocks; return when it was so, and when everything ran again."""
        if case.suspended:
            self.database.freeze()
            self.replica.freeze()
            pause(STOPPED_S)
            self.sleep.sleep(case.by_s)
        if case.whose in ("database", "both"):
            self.theirs.set(self.theirs.off_s + case.by_s)
        jumped_at = now_s()
        if case.whose in ("ours", "both"):
            self.ours.set(self.ours.off_s + case.by_s)
        if case.suspended:
            self.replica.thaw()
            self.database.thaw()
        return jumped_at, now_s()

    def _incidents(self, number: int) -> dict[str, float]:
        """Return the incidents of this case, with the time by the database when each began."""

        def all_there() -> dict[str, float] | None:
            rows = self.database.query(
                "SELECT id, extract(epoch FROM opened_at)::float8 AS opened FROM incidents"
                " WHERE starts_with(service, $1)",
                f"c{self.cases}-",
            )
            found = {row["id"]: row["opened"] for row in rows}
            return found if len(found) == number else None

        found: dict[str, float] = wait_for(all_there, 60, "every alert to become an incident")
        return found

    def _judge(self, rungs: Sequence[Rung]) -> Result:
        wanted = {(rung.incident, rung.person): rung for rung in rungs}
        calls: dict[tuple[str, str], list[Call]] = {}
        for call in self.sink.calls():
            if (call.incident, call.contact) in wanted:
                calls.setdefault((call.incident, call.contact), []).append(call)
        result = Result(rungs=len(rungs))
        for key, rung in wanted.items():
            got = calls.get(key, [])
            if not got:
                result.missed += 1
                say(f"  missed: {rung.person} for {rung.incident}")
                continue
            keys = {call.key for call in got}
            result.twice += len(keys) - 1
            result.again += len(got) - len(keys)
            late_s = got[0].at - rung.due_at
            result.late_s = max(result.late_s, late_s)
            if late_s < -EARLY_S_MAX:
                result.early += 1
                say(f"  {-late_s:.2f} s early: {rung.person} for {rung.incident}")
            elif late_s > LATE_S_MAX:
                say(f"  {late_s:.2f} s late: {rung.person} for {rung.incident}")
        return result

    def _end(self, incidents: dict[str, float]) -> None:
        """Resolve them, so that no jump is about more incidents than its own."""
        for incident in incidents:
            self.replica.api.post(f"/api/v1/incidents/{incident}/resolve", json={})


def _began(case: Case, by_old_clock: float, jumped_at: float, called_at: float) -> float:
    """Return when an incident really began, which was before its first page left.

    Around a jump back the same time of the database comes twice.
    """
    by_new_clock = by_old_clock - case.moves_database
    possible = [at for at in (by_old_clock,) if at <= jumped_at]
    possible += [at for at in (by_new_clock,) if at >= jumped_at]
    return min(possible or [by_old_clock], key=lambda at: abs(called_at - at))


def _ladder(case: Case, incident: str, began: float, jumped: tuple[float, float]) -> list[Rung]:
    """Return when the rungs of an incident that began then must fire."""
    jumped_at, resumed_at = jumped
    by_s = case.moves_database
    rungs = []
    for person, after_s in zip(_ROLES, DELAYS_S, strict=True):
        due_at = began + after_s
        if began < jumped_at < due_at:
            if by_s > 0:
                due_at = max(jumped_at, due_at - by_s)
            elif by_s > -STEP_S_MIN:
                # A second is not worth moving anything for.
                due_at -= by_s
        if jumped_at <= due_at < resumed_at:
            due_at = resumed_at
        rungs.append(Rung(incident, person, due_at))
    return rungs


def main(argv: Sequence[str] | None = None) -> int:
    """Run the proof; return 0 when nothing was missed, early, double or late."""
    parser = arguments("time", __doc__)
    parser.add_argument("--rounds", type=int, default=0, help="how often every case (long: 3)")
    given = parser.parse_args(argv)
    faketime = library()
    if faketime is None:
        say("Left out: libfaketime is not installed (Debian: apt-get install faketime).")
        return 0
    cases = _SHORT if given.short else _EVERY_CASE
    rounds = given.rounds or (1 if given.short else 3)
    found: dict[str, Result] = {}
    with workplace("time") as folder, Sink(folder) as sink:
        trial = Trial(folder, faketime, sink)
        with trial.database, trial.replica:
            for case in cases * rounds:
                result = trial.run(case)
                say(f"{case}: {result.rungs} rungs, at most {result.late_s:.2f} s late")
                found.setdefault(_group(case), Result()).add(result)
        asleep = "" if trial.sleep.is_simulated else " (its own clock stood still: no C compiler)"
    return _figures(found, len(cases) * rounds, asleep).finish(write=given.write)


def _group(case: Case) -> str:
    if case.suspended:
        return "suspended for an hour"
    if abs(case.by_s) == 1:
        return f"{case.whose} clock, a second (a leap second is one back)"
    return f"{case.whose} clock, {'forward' if case.by_s > 0 else 'back'} 10 s to a day"


def _figures(found: dict[str, Result], cases: int, asleep: str) -> Figures:
    total = Result()
    for result in found.values():
        total.add(result)
    figures = Figures("time", scale=f"{cases} jumps, {total.rungs:,} rungs{asleep}")
    figures.add("rungs missed", total.missed, 0, ok=total.missed == 0)
    figures.add("rungs early", total.early, 0, ok=total.early == 0)
    figures.add("rungs twice, under two keys", total.twice, 0, ok=total.twice == 0)
    figures.add("pages sent again under their key", total.again)
    for name, result in found.items():
        ok = result.late_s <= LATE_S_MAX
        figures.add(f"{name}: latest rung, s late", result.late_s, LATE_S_MAX, ok=ok)
    return figures


if __name__ == "__main__":
    sys.exit(main())
