"""What the commands of virtual time share: the runbook with its people, instants, and whom they fail."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, available_timezones

import msgspec
import typer

from tocsin.base.durations import parse_duration
from tocsin.cli.remote import fail, plain
from tocsin.config import Unreadable, read_runbook
from tocsin.core.surroundings import Surroundings
from tocsin.runbook import Compiled, compile_runbook
from tocsin.runbook.findings import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tocsin.cli.recordings import Recording
    from tocsin.core.surroundings import Directory, Tuning

    SettingsOf = Callable[[Path], tuple[Directory, Tuning] | None]

UNUSABLE = 2
FAULTS_SHOWN_MAX = 10
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?))?\s*(Z|[+-]\d\d:?\d\d)?")


class Stage(msgspec.Struct, frozen=True):
    """A runbook as it is played: compiled, with the people and settings beside it."""

    path: Path
    compiled: Compiled
    surroundings: Surroundings
    has_settings: bool


def stage_of(runbook: Path, settings_of: SettingsOf) -> Stage:
    """Read a runbook and the settings beside it; exit with one line where that is not possible."""
    try:
        documents = read_runbook(runbook)
    except Unreadable as error:
        fail(str(error), code=UNUSABLE)
    return staged(runbook, documents, settings_of(runbook))


def staged(
    path: Path, documents: Mapping[str, str], settings: tuple[Directory, Tuning] | None
) -> Stage:
    """Compile documents, and put the people of the settings beside them."""
    compiled = compile_runbook(documents)
    surroundings = Surroundings() if settings is None else Surroundings(*settings)
    if compiled.has_errors:
        told = f"{path} has errors and would not come into force: tocsin check {path}"
        typer.echo(f"tocsin: {told}", err=True)
    return Stage(path, compiled, surroundings, settings is not None)


def level_of(stage: Stage, word: str) -> str:
    """Return a level as the runbook writes it; exit with those it declares for any other."""
    declared = stage.compiled.policy.severity(word)
    if declared is None:
        levels = [severity.level for severity in stage.compiled.policy.severities]
        said = f"declares {', '.join(levels)}" if levels else "declares no severity levels"
        hint = did_you_mean(word, levels)
        fail(f"--severity {word}: the runbook {said}. {hint}".rstrip(), code=UNUSABLE)
    return declared.level


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name, such as "Europe/Berlin"; exit with the nearest otherwise."""
    known = {each.casefold(): each for each in available_timezones()}
    if name.casefold() in ("utc", "z", "gmt"):
        return UTC
    if name.casefold() not in known:
        hint = did_you_mean(name, known.values())
        fail(f"--zone {name}: there is no such time zone. {hint}".rstrip(), code=UNUSABLE)
    return ZoneInfo(known[name.casefold()])


def instant_of(said: str, zone: tzinfo) -> datetime:
    """Return the instant (UTC) of "2026-12-24T03:00"; without an offset it is a time of the zone.

    Exits where that time does not exist there, or comes twice.
    """
    found = _INSTANT.fullmatch(said.strip())
    try:
        date, time, offset = found.groups() if found is not None else ("", "", "")
        local = datetime.fromisoformat(f"{date}T{time or '00:00'}{offset or ''}")
    except ValueError:
        fail(f"--at {said}: wants a time such as 2026-12-24T03:00.", code=UNUSABLE)
    if local.tzinfo is not None:
        return local.astimezone(UTC)
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
        fail(f"--at {said}: the clocks of {zone} skip this time.", code=UNUSABLE)
    if first.utcoffset() != second.utcoffset():
        offsets = " or ".join(f"{each:%z}" for each in (first, second))
        fail(f"--at {said}: this time comes twice in {zone}; add {offsets}.", code=UNUSABLE)
    return first.astimezone(UTC)


def duration_of(option: str, said: str, *, none: str = "") -> timedelta | None:
    """Return a duration such as "10m", or None for the word that means none; exit for others."""
    if none and said.strip().casefold() == none:
        return None
    found = parse_duration(said)
    if found is None:
        also = f' or "{none}"' if none else ""
        fail(f'{option} {said}: wants a duration such as "10m"{also}.', code=UNUSABLE)
    return found


def tell_faults(recording: Recording) -> None:
    """Say on standard error which lines of a file could not be used, and what else is odd in it."""
    path = recording.path
    for fault in recording.faults[:FAULTS_SHOWN_MAX]:
        typer.echo(f"{path}:{fault.line}: {plain(fault.why).rstrip('.')}.", err=True)
    if recording.faulty > FAULTS_SHOWN_MAX:
        more = recording.faulty - FAULTS_SHOWN_MAX
        typer.echo(f"{path}: {more:,} more lines cannot be used.", err=True)
    if recording.late:
        typer.echo(
            f"{path}: {recording.late:,} lines are earlier than one above them, and were taken"
            " when they stand.",
            err=True,
        )
    if recording.is_cut:
        typer.echo(f"{path}: the export broke off; what came is used.", err=True)
    if not recording.lines:
        typer.echo(f"{path}: there is nothing in it.", err=True)


def faults_as_json(recording: Recording) -> dict[str, Any]:
    """Return what was odd in a file, for programs."""
    return {
        "lines": recording.lines,
        "unusable": recording.faulty,
        "late": recording.late,
        "cut": recording.is_cut,
        "faults": [{"line": fault.line, "why": fault.why} for fault in recording.faults],
    }


def write(path: Path, text: str) -> None:
    """Write a report; exit with one line where that is not possible."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{path}: cannot be written: {error.strerror or error}.", code=UNUSABLE)
