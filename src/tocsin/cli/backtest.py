"""``tocsin backtest``: recorded inputs through two runbooks, and what changes."""

from __future__ import annotations

import contextlib
import datetime as dt
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import msgspec
import typer
from msgspec.structs import replace
from rich.console import Console
from rich.text import Text

from tocsin.cli import virtual
from tocsin.cli.documents import Form
from tocsin.cli.recordings import Recording
from tocsin.cli.remote import DEFAULT_SERVER, Remote, Server, Token, fail, plain, print_json
from tocsin.cli.virtual import Stage
from tocsin.core.inputs import Signal
from tocsin.core.surroundings import Surroundings
from tocsin.reports.account import Account, Comparison, Example, Row, compare, headline
from tocsin.reports.backtest import Sheet, backtest_page
from tocsin.sim.replay import Humans, Replay

if TYPE_CHECKING:
    from tocsin.cli.virtual import SettingsOf

EXAMPLES_PRINTED_MAX = 10
_TABLES = (
    "totals",
    "levels",
    "people",
    "nights",
    "hours",
    "escalations",
    "notices",
    "unheld",
)
_MODELS = {
    Humans.SAME_INSTANT: "People act at the same instants as they did then.",
    Humans.SAME_DELAY: "People act as long after the first page of an incident as they did then.",
    Humans.NONE: "Nobody acts: every page counts once, and what is resolved was resolved by senders.",
}


class _Side(msgspec.Struct):
    """One of the two runbooks, with what it makes of the inputs."""

    stage: Stage
    account: Account
    replay: Replay | None = None

    @property
    def name(self) -> str:
        """Return how people call it."""
        return str(self.stage.path)


class _Done(msgspec.Struct):
    """A replay that came to its end."""

    recording: Recording
    old: _Side
    new: _Side
    humans: Humans
    took_s: float
    comparison: Comparison
    zone: dt.tzinfo


def register(app: typer.Typer, settings_of: SettingsOf) -> None:
    """Add the command of this file. ``settings_of`` reads the settings beside a runbook."""

    @app.command()
    def backtest(
        runbook: Annotated[
            Path, typer.Option(help="The edited runbook, a file or a folder.", readable=False)
        ],
        against: Annotated[
            Path | None,
            typer.Option(
                help="The runbook to compare with; default: the one in force on the server.",
                readable=False,
            ),
        ] = None,
        since: Annotated[
            str, typer.Option(help="Ask the server for what reached it since then, such as 90d.")
        ] = "",
        signals: Annotated[
            Path | None,
            typer.Option(help="Read a file instead: one JSON object a line.", readable=False),
        ] = None,
        humans: Annotated[
            Humans, typer.Option(help="How people act, who are not there to ask.")
        ] = Humans.SAME_DELAY,
        zone: Annotated[str, typer.Option(help="The time zone of hours and nights.")] = "UTC",
        html: Annotated[
            Path | None, typer.Option(help="Write a report with charts.", readable=False)
        ] = None,
        form: Annotated[Form, typer.Option("--format", help="For people or programs.")] = Form.TEXT,
        server: Server = DEFAULT_SERVER,
        token: Token = "",
    ) -> None:
        """Replay what reached you through an edited runbook, and say what would have changed."""
        if bool(since) == (signals is not None):
            fail("say either --since, such as 90d, or --signals FILE.", code=virtual.UNUSABLE)
        where = virtual.zone_of(zone)
        new = virtual.stage_of(runbook, settings_of)
        with contextlib.ExitStack() as stack:
            path = signals or stack.enter_context(_exported(since, server, token))
            old = _old(against, path, new, settings_of)
            done = _replayed(Recording(path), old, new, humans, where)
        if form is Form.TEXT:
            virtual.tell_faults(done.recording)
        if html is not None:
            virtual.write(html, backtest_page(_sheet(done), done.comparison))
        if form is Form.JSON:
            print_json(_as_json(done))
        else:
            _print(done)
            if html is not None:
                typer.echo(f"Written: {html}")


# -- What is compared ------------------------------------------------------------------------------


@contextlib.contextmanager
def _exported(since: str, server: str, token: str) -> Iterator[Path]:
    """Lend a file with what a server recorded; it is gone afterwards."""
    virtual.duration_of("--since", since)
    with tempfile.TemporaryDirectory(prefix="tocsin-backtest-") as folder:
        path = Path(folder) / "recorded.jsonl"
        remote = Remote(server, token)
        asked = f"recorded-inputs?since={quote(since)}"
        with path.open("wb") as file, remote.stream("GET", asked) as lines, _counting() as count:
            for number, line in enumerate(lines, 1):
                file.write(line)
                count(number)
        yield path


def _old(against: Path | None, path: Path, new: Stage, settings_of: SettingsOf) -> Stage:
    """Return the runbook to compare with: the one that is named, or the one of the export."""
    if against is not None:
        old = virtual.stage_of(against, settings_of)
        # Without settings of its own it is the same team's.
        return old if old.has_settings else replace(old, surroundings=new.surroundings)
    recording = Recording(path)
    try:
        beginning = recording.head()
    except OSError as error:
        fail(f"{path}: cannot be read: {error.strerror or error}.", code=virtual.UNUSABLE)
    if beginning is None or not beginning.documents:
        fail(
            "name the runbook to compare with: --against OLD. Only the export of a server says"
            " which one was in force.",
            code=virtual.UNUSABLE,
        )
    staged = virtual.staged(Path("the runbook in force"), beginning.documents, None)
    return replace(staged, surroundings=new.surroundings)


def _replayed(
    recording: Recording, old: Stage, new: Stage, humans: Humans, zone: dt.tzinfo
) -> _Done:
    sides = (_Side(old, Account(zone)), _Side(new, Account(zone)))
    began = time.perf_counter()
    try:
        acts = recording.acts()
        for at, item in _shown(recording):
            for side in sides:
                replay = side.replay
                if replay is None:
                    replay = side.replay = Replay(
                        side.stage.compiled.policy,
                        _without_repeats(side.stage.surroundings, humans),
                        at,
                        acts=acts,
                        humans=humans,
                        listen=side.account.take,
                    )
                if isinstance(item, Signal):
                    replay.hear(item, at)
                else:
                    replay.take(item)
    except OSError as error:
        fail(f"{recording.path}: cannot be read: {error.strerror or error}.", code=virtual.UNUSABLE)
    if recording.last_at is None:
        virtual.tell_faults(recording)
        fail(f"{recording.path}: not one line of it can be used.", code=virtual.UNUSABLE)
    until = recording.beginning.until if recording.beginning is not None else recording.last_at
    for side in sides:
        assert side.replay is not None, "there was an item, so both began"
        side.replay.end(max(until, recording.last_at))
    took_s = time.perf_counter() - began
    comparison = compare(sides[0].account, sides[1].account)
    return _Done(recording, *sides, humans, took_s, comparison, zone)


def _without_repeats(surroundings: Surroundings, humans: Humans) -> Surroundings:
    """Where nobody ever acknowledges, pages would repeat for months and count for nothing."""
    if humans is not Humans.NONE:
        return surroundings
    return replace(surroundings, tuning=replace(surroundings.tuning, repeat_every_s=0))


# -- Progress --------------------------------------------------------------------------------------


def _shown(recording: Recording) -> Iterator[tuple[dt.datetime, Any]]:
    """Yield the items of a file, and show on a terminal how far they are read."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("replaying"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("replaying", total=recording.path.stat().st_size)
        yield from recording.items(lambda so_far: progress.update(task, completed=so_far))


@contextlib.contextmanager
def _counting() -> Iterator[Callable[[int], None]]:
    """Lend what shows on a terminal how many lines have come from a server."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda number: None
        return
    with console.status("asking the server") as status:

        def count(number: int) -> None:
            if not number % 1_000:
                status.update(f"{number:,} records from the server")

        yield count


# -- Printing --------------------------------------------------------------------------------------


def _facts(done: _Done) -> list[str]:
    recording = done.recording
    assert recording.first_at is not None
    assert recording.last_at is not None
    days = (recording.last_at - recording.first_at).total_seconds() / 86_400
    first, last = (at.astimezone(done.zone) for at in (recording.first_at, recording.last_at))
    return [
        f"{recording.lines - recording.faulty:,} inputs of {days:,.1f} days",
        f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M %Z}",
    ]


def _model(done: _Done) -> str:
    said = _MODELS[done.humans]
    assert done.new.replay is not None
    counts = done.new.replay.counts
    acts = counts.done + counts.refused + counts.without_page + counts.without_incident
    if not acts:
        if done.humans is not Humans.NONE:
            said += " None of their acts is recorded."
        return said
    said += f" Of {acts:,} recorded acts {counts.done:,} are done with the edited runbook"
    left = [
        (counts.refused, "are refused"),
        (counts.without_page, "wait for a page that does not come"),
        (counts.without_incident, "find no incident"),
    ]
    told = [f"{number:,} {what}" for number, what in left if number]
    return f"{said}; {', '.join(told)}." if told else f"{said}."


def _sheet(done: _Done) -> Sheet:
    return Sheet(done.old.name, done.new.name, tuple(_facts(done)), _model(done), done.zone)


def _print(done: _Done) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    found = done.comparison
    console.print(Text(plain(headline(found)), style="bold"))
    console.print(Text(f"  {plain(done.old.name)} against {plain(done.new.name)}", style="dim"))
    console.print(Text(f"  {'; '.join(_facts(done))}", style="dim"))
    console.print(Text(f"  {_model(done)}", style="dim"))
    console.print()
    _print_rows(console, "", found.totals)
    _print_rows(console, "Incidents by severity", found.levels)
    _print_rows(console, "Pages by person", found.people)
    _print_rows(console, "Night pages by person", found.nights)
    _print_rows(console, "Pages by hour of day", [r for r in found.hours if r.old or r.new])
    _print_rows(console, "Escalations", found.escalations)
    _print_rows(console, "Channels that are told", found.notices)
    _print_rows(console, "Roles that nobody holds", found.unheld)
    _print_examples(console, done, found.examples)
    a_second = done.recording.lines / done.took_s if done.took_s else 0.0
    console.print(
        Text(f"Replayed twice in {done.took_s:.1f} s: {a_second:,.0f} inputs a second.", "dim")
    )


def _print_rows(console: Console, title: str, rows: Sequence[Row]) -> None:
    if not any(row.old or row.new for row in rows):
        return
    if title:
        console.print(Text(title, style="bold"))
    width = max(24, *(len(row.name) for row in rows))
    console.print(Text(f"  {'':<{width}} {'before':>9} {'now':>9} {'change':>9}", style="dim"))
    for row in rows:
        change = f"{row.change:+,}" if row.change else "-"
        console.print(
            Text.assemble(
                f"  {plain(row.name) or 'none':<{width}} {row.old:>9,} {row.new:>9,} ",
                (f"{change:>9}", "bold" if row.change else "dim"),
            )
        )
    console.print()


def _print_examples(console: Console, done: _Done, examples: Sequence[Example]) -> None:
    if not examples:
        return
    console.print(Text("Incidents that go otherwise", style="bold"))
    for example in examples[:EXAMPLES_PRINTED_MAX]:
        local = example.at.astimezone(done.zone)
        console.print(
            f"  {local:%Y-%m-%d %H:%M}  {plain(example.title)} ({plain(example.service)})"
        )
        for word, said, source in (
            ("before", example.old, example.old_source),
            ("now", example.new, example.new_source),
        ):
            cited = f"  {source} “{plain(source.quote)}”" if source is not None else ""
            console.print(Text.assemble(f"    {word:<8}{plain(said)}", (cited, "dim")))
    if len(examples) > EXAMPLES_PRINTED_MAX:
        more = len(examples) - EXAMPLES_PRINTED_MAX
        console.print(Text(f"  and {more:,} more: --html and --format json show them", style="dim"))
    console.print()


def _as_json(done: _Done) -> dict[str, Any]:
    found = done.comparison
    assert done.new.replay is not None
    return {
        "old": {"runbook": done.old.name, "revision": done.old.stage.compiled.policy.revision},
        "new": {"runbook": done.new.name, "revision": done.new.stage.compiled.policy.revision},
        "headline": headline(found),
        "humans": {
            "model": done.humans.value,
            "sentence": _model(done),
            "acts": msgspec.to_builtins(done.new.replay.counts),
        },
        "inputs": {
            **virtual.faults_as_json(done.recording),
            "first_at": msgspec.to_builtins(done.recording.first_at),
            "last_at": msgspec.to_builtins(done.recording.last_at),
            "took_s": round(done.took_s, 3),
        },
        "zone": str(done.zone),
        **{name: [_row(row) for row in getattr(found, name)] for name in _TABLES},
        "examples": msgspec.to_builtins(found.examples),
    }


def _row(row: Row) -> dict[str, Any]:
    return {"name": row.name, "old": row.old, "new": row.new, "change": row.change}
