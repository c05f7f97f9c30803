"""``tocsin simulate``: what would happen, before it happens."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec.structs import replace
from rich.console import Console
from rich.text import Text

from tocsin.cli import virtual
from tocsin.cli.documents import Form
from tocsin.cli.recordings import Recording
from tocsin.cli.remote import fail, plain, print_json
from tocsin.core.inputs import Signal
from tocsin.engine.system import SystemClock
from tocsin.reports.course import Moment, course, gathered, sentence, since, span
from tocsin.reports.timeline import Sheet, summary, timeline_page
from tocsin.runbook.findings import did_you_mean
from tocsin.sim.simulation import LASTS_MAX, Simulation, signal_of

if TYPE_CHECKING:
    from tocsin.cli.virtual import SettingsOf, Stage
    from tocsin.core.policy import Play

_STYLES = {"page": "bold", "nobody": "bold red", "left to a person": "yellow", "state": "cyan"}


def register(app: typer.Typer, settings_of: SettingsOf) -> None:
    """Add the command of this file. ``settings_of`` reads the settings beside a runbook."""

    @app.command()
    def simulate(
        runbook: Annotated[
            Path, typer.Argument(help="A Markdown file, or a folder of them.", readable=False)
        ],
        scenario: Annotated[
            str, typer.Option(help="What goes wrong: a scenario of the runbook, by its name.")
        ] = "",
        signals: Annotated[
            Path | None,
            typer.Option(help="What goes wrong: alerts, one JSON object a line.", readable=False),
        ] = None,
        severity: Annotated[
            str, typer.Option(help="A level of the runbook; else its words decide.")
        ] = "",
        ack_after: Annotated[
            str, typer.Option(help='When somebody acknowledges after the first page, or "never".')
        ] = "never",
        resolve_after: Annotated[
            str, typer.Option(help='When somebody resolves after the opening, or "never".')
        ] = "never",
        at: Annotated[
            str, typer.Option(help="When it begins, such as 2026-12-24T03:00; default: now.")
        ] = "",
        zone: Annotated[
            str, typer.Option(help="The time zone of --at and of what is shown.")
        ] = "UTC",
        lasts: Annotated[
            str, typer.Option("--for", help="How long; default: until only repeats are left.")
        ] = "",
        html: Annotated[
            Path | None, typer.Option(help="Draw the timeline into this file.", readable=False)
        ] = None,
        form: Annotated[Form, typer.Option("--format", help="For people or programs.")] = Form.TEXT,
    ) -> None:
        """Play an incident in virtual time: who is paged or told what, how, when, and why."""
        stage = virtual.stage_of(runbook, settings_of)
        where = virtual.zone_of(zone)
        start = virtual.instant_of(at, where) if at else None
        if signals is not None and (scenario or severity):
            what = "--scenario" if scenario else "--severity"
            fail(f"{what} says what goes wrong, and so does --signals.", code=virtual.UNUSABLE)
        level = virtual.level_of(stage, severity) if severity else ""
        declared = stage.compiled.policy.severities
        if declared and not (level or scenario or signals):
            level = declared[0].level
        options = _Options(
            stage,
            _scenario(stage, scenario) if scenario else None,
            level,
            virtual.duration_of("--ack-after", ack_after, none="never"),
            virtual.duration_of("--resolve-after", resolve_after, none="never"),
            start,
            _lasts(lasts),
            where,
        )
        recording = Recording(signals) if signals is not None else None
        simulation, began_at = _played(options, recording)
        moments = course((h.at, h.incident, h.event) for h in simulation.happened)
        if recording is not None and form is Form.TEXT:
            virtual.tell_faults(recording)
        if html is not None:
            virtual.write(
                html, timeline_page(_sheet(options, recording, simulation, began_at), moments)
            )
        if form is Form.JSON:
            print_json(_as_json(options, recording, simulation, began_at, moments))
        else:
            _print(options, recording, simulation, began_at, moments)
            if html is not None:
                typer.echo(f"Drawn: {html}")


@dataclass(frozen=True)
class _Options:
    """What was asked for, understood."""

    stage: Stage
    scenario: Play | None
    severity: str
    ack_after: dt.timedelta | None
    resolve_after: dt.timedelta | None
    start: dt.datetime | None
    lasts: dt.timedelta | None
    zone: dt.tzinfo

    @property
    def title(self) -> str:
        if self.scenario is not None:
            return self.scenario.name
        return f"A {self.severity} incident" if self.severity else "An incident"

    @property
    def people(self) -> list[str]:
        """Say what people do in it."""
        said = []
        for what, after, whence in (
            ("acknowledges", self.ack_after, "the first page"),
            ("resolves", self.resolve_after, "the opening"),
        ):
            if after is None:
                said.append(f"nobody {what}")
            else:
                said.append(f"somebody {what} {span(after)} after {whence}")
        return said


def _played(options: _Options, recording: Recording | None) -> tuple[Simulation, dt.datetime]:
    policy, surroundings = options.stage.compiled.policy, options.stage.surroundings
    start = options.start or SystemClock().now().replace(microsecond=0)

    def begun(at: dt.datetime) -> Simulation:
        return Simulation(
            policy,
            surroundings,
            at,
            ack_after=options.ack_after,
            resolve_after=options.resolve_after,
        )

    if recording is not None:
        return _replayed(options, recording, begun, start)
    simulation = begun(start)
    signal = signal_of(start, scenario=options.scenario, severity=options.severity)
    simulation.hear(signal, start)
    simulation.finish(options.lasts)
    return simulation, start


def _replayed(
    options: _Options,
    recording: Recording,
    begun: Callable[[dt.datetime], Simulation],
    start: dt.datetime,
) -> tuple[Simulation, dt.datetime]:
    simulation: Simulation | None = None
    shift = dt.timedelta()
    left_out = 0
    try:
        for at, item in recording.items():
            if simulation is None:
                # Told when it begins, the whole file is moved there.
                shift = options.start - at if options.start is not None else shift
                start = at + shift
                simulation = begun(start)
            if isinstance(item, Signal):
                simulation.hear(_moved(item, shift), at + shift)
            elif shift:
                fail("--at moves alerts; an export of a server is played when it was recorded.")
            elif not simulation.take(item):
                left_out += 1
    except OSError as error:
        fail(f"{recording.path}: cannot be read: {error.strerror or error}.", code=virtual.UNUSABLE)
    if simulation is None:
        virtual.tell_faults(recording)
        fail(f"{recording.path}: not one line of it can be used.", code=virtual.UNUSABLE)
    if left_out:
        told = f"{left_out:,} acts of people are left out: here people do what the options say."
        typer.echo(f"tocsin: {told}", err=True)
    simulation.finish(options.lasts)
    return simulation, start


def _moved(signal: Signal, shift: dt.timedelta) -> Signal:
    if not shift:
        return signal
    ends_at = signal.ends_at
    return replace(
        signal,
        starts_at=signal.starts_at + shift,
        ends_at=None if ends_at is None else ends_at + shift,
    )


def _scenario(stage: Stage, wanted: str) -> Play:
    plays = stage.compiled.policy.plays
    folded = wanted.casefold().strip()
    exact = [play for play in plays if play.name.casefold() == folded]
    near = exact or [play for play in plays if folded in play.name.casefold()]
    if not near:
        names = [play.name for play in plays]
        listed = ", ".join(f"“{name}”" for name in names[:12])
        hint = did_you_mean(wanted, names) or (f"It has {listed}." if names else "It has none.")
        fail(
            f"--scenario {wanted}: the runbook has no such scenario. {hint}", code=virtual.UNUSABLE
        )
    if len(near) > 1 and not exact:
        which = " and ".join(f"“{play.name}”" for play in near)
        fail(f"--scenario {wanted}: could be {which}.", code=virtual.UNUSABLE)
    return near[0]


def _lasts(said: str) -> dt.timedelta | None:
    lasts = virtual.duration_of("--for", said) if said else None
    if lasts is not None and lasts > 12 * LASTS_MAX:
        fail(f"--for {said}: is at most {span(12 * LASTS_MAX)}.", code=virtual.UNUSABLE)
    return lasts


# -- Printing --------------------------------------------------------------------------------------


def _facts(
    options: _Options, recording: Recording | None, started_at: dt.datetime
) -> tuple[str, ...]:
    begins = started_at.astimezone(options.zone)
    what = f"signals of {recording.path.name}" if recording is not None else options.title
    facts = [str(options.stage.path), what, f"begins {begins:%a %Y-%m-%d %H:%M %Z}"]
    facts += options.people
    if not options.stage.has_settings:
        facts.append("no tocsin.toml beside it: nobody holds a role")
    return tuple(facts)


def _sheet(
    options: _Options, recording: Recording | None, simulation: Simulation, started_at: dt.datetime
) -> Sheet:
    title = f"Signals of {recording.path.name}" if recording is not None else options.title
    return Sheet(
        title=title,
        facts=_facts(options, recording, started_at),
        started_at=started_at,
        ended_at=simulation.world.at,
        zone=options.zone,
        ranks={s.level: s.rank for s in options.stage.compiled.policy.severities},
    )


def _print(
    options: _Options,
    recording: Recording | None,
    simulation: Simulation,
    started_at: dt.datetime,
    moments: list[Moment],
) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    first, *others = _facts(options, recording, started_at)
    console.print(Text(f"{plain(first)}: {plain(others[0])}", style="bold"))
    console.print(Text("  " + "; ".join(plain(each) for each in others[1:]), style="dim"))
    incidents = list(dict.fromkeys(moment.incident for moment in moments))
    for incident in incidents:
        console.print()
        if len(incidents) > 1:
            console.print(Text(incident, style="bold"))
        own = gathered([moment for moment in moments if moment.incident == incident])
        _print_moments(console, options, started_at, own)
    console.print()
    console.print(plain(summary(moments)) if moments else "Nothing happens: no incident is opened.")
    repeating = simulation.world.due_at is not None and options.lasts is None
    if repeating and _still_repeats(simulation):
        every = span(dt.timedelta(seconds=options.stage.surroundings.tuning.repeat_every_s))
        console.print(f"Pages go on every {every} until somebody acknowledges: --for shows them.")


def _still_repeats(simulation: Simulation) -> bool:
    return any(
        page.repeat_at is not None and page.acknowledged_at is None
        for state in simulation.world.incidents.values()
        if state.is_open and not state.holds
        for page in state.pages.values()
    )


def _print_moments(
    console: Console, options: _Options, started_at: dt.datetime, moments: Iterable[Moment]
) -> None:
    for moment in moments:
        local, begins = moment.at.astimezone(options.zone), started_at.astimezone(options.zone)
        wall = f"{local:%H:%M}" if local.date() == begins.date() else f"{local:%m-%d %H:%M}"
        said = plain(sentence(moment))
        if moment.until is not None:
            said += f", until {since(started_at, moment.until)}"
        line = Text.assemble(
            (f"{since(started_at, moment.at):<10}", "bold"),
            (f"{wall:<13}", "dim"),
            (said, _STYLES.get(moment.kind, "")),
        )
        console.print(line)
        if moment.source is not None:
            cited = f"{'':23}L{moment.source.line} “{plain(moment.source.quote)}”"
            console.print(Text(cited, style="dim"))


def _as_json(
    options: _Options,
    recording: Recording | None,
    simulation: Simulation,
    started_at: dt.datetime,
    moments: list[Moment],
) -> dict[str, Any]:
    return {
        "runbook": str(options.stage.path),
        "revision": options.stage.compiled.policy.revision,
        "scenario": options.scenario.name if options.scenario else None,
        "severity": options.severity or None,
        "signals": None if recording is None else virtual.faults_as_json(recording),
        "started_at": _instant(started_at),
        "ended_at": _instant(simulation.world.at),
        "moments": [
            {
                "at": _instant(moment.at),
                "after_s": (moment.at - started_at).total_seconds(),
                "incident": moment.incident,
                "kind": moment.kind,
                "sentence": sentence(moment),
                "whom": moment.whom or None,
                "role": moment.role or None,
                "via": moment.via or None,
                "because": moment.because or None,
                "severity": moment.severity or None,
                "file": moment.source.file if moment.source else None,
                "line": moment.source.line if moment.source else None,
                "quote": moment.source.quote if moment.source else None,
            }
            for moment in moments
        ],
    }


def _instant(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
