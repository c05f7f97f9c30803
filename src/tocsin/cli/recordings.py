"""Files of what reached somebody: a line of JSON each, alerts as Prometheus sends them or an export.

A line that cannot be read is noted with its number and the others go on. Labels and annotations that
were read once are not read again: of a file of millions of lines nearly all are repeats.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from tocsin.core.inputs import Signal
from tocsin.integrations.inbound.alertmanager import Unfit, read_alert, times_of
from tocsin.sim.recording import FORMAT, TITLE, Beginning, End, Recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY: Final = "recorded"
"""The credential that alerts of a file count as sent with."""
FAULTS_KEPT_MAX: Final = 100
_LINE_BYTES_MAX: Final = 4_194_304
_REMEMBERED_MAX: Final = 200_000
_NOTHING: Final = msgspec.Raw(b"{}")
_PROGRESS_EVERY: Final = 4_096


class Fault(msgspec.Struct, frozen=True):
    """A line that could not be used: its number from 1, and why in a sentence."""

    line: int
    why: str


class _Line(msgspec.Struct):
    """Whatever a line may be: an alert, a record of an export, or an export's first or last line."""

    at: datetime | None = None
    labels: msgspec.Raw = _NOTHING
    annotations: msgspec.Raw = _NOTHING
    starts_at: datetime | None = msgspec.field(name="startsAt", default=None)
    ends_at: datetime | None = msgspec.field(name="endsAt", default=None)
    generator_url: str | None = msgspec.field(name="generatorURL", default=None)
    input: msgspec.Raw = _NOTHING
    silence: msgspec.Raw = _NOTHING
    tocsin: str = ""
    end: msgspec.Raw = _NOTHING


_LINE = msgspec.json.Decoder(_Line)
_RECORD = msgspec.json.Decoder(Recorded)
_BEGINNING = msgspec.json.Decoder(Beginning)
_END = msgspec.json.Decoder(End)
Item = Signal | Recorded


class Recording:
    """One file. Reading it through fills in what is known of it: ``faults``, ``lines``, and so on.

    ``late`` counts lines whose instant lies before that of a line above them: they are taken when
    they stand. ``is_cut`` says that an export has no last line, or fewer records than that says.
    """

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is read yet."""
        self.path = path
        self._prototypes: dict[tuple[bytes, bytes, str | None], Signal] = {}
        self._begin()

    def _begin(self) -> None:
        self.faults: list[Fault] = []
        self.faulty = 0
        self.lines = 0
        self.late = 0
        self.beginning: Beginning | None = None
        self.ending: End | None = None
        self.first_at: datetime | None = None
        self.last_at: datetime | None = None
        self._records = 0

    @property
    def is_cut(self) -> bool:
        """Say whether an export broke off."""
        if self.beginning is None:
            return False
        return self.ending is None or self.ending.records != self._records

    def items(
        self, progress: Callable[[int], None] = lambda so_far: None
    ) -> Iterator[tuple[datetime, Item]]:
        """Yield signals and records with their instants, in the order of the file.

        ``progress`` is told how many bytes were read, every few thousand lines. Raises OSError.
        """
        self._begin()
        read = 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                read += len(line)
                if not number % _PROGRESS_EVERY:
                    progress(read)
                if line.isspace():
                    continue
                self.lines += 1
                try:
                    found = self._item(line)
                except (Unfit, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    self._fault(number, str(error) or "it is nested too deeply")
                    continue
                if found is None:
                    continue
                at = found[0]
                if self.last_at is not None and at < self.last_at:
                    self.late += 1
                else:
                    self.last_at = at
                if self.first_at is None:
                    self.first_at = at
                yield found
        progress(read)

    def head(self) -> Beginning | None:
        """Return the first line of an export, or None for a file that is none. Raises OSError."""
        with self.path.open("rb") as file:
            line = file.readline(_LINE_BYTES_MAX)
        try:
            return _BEGINNING.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def acts(self) -> list[Recorded]:
        """Return what people did to incidents, which a replay must know ahead. Raises OSError."""
        found = []
        with self.path.open("rb") as file:
            for line in file:
                if b'"opened_at":' not in line:
                    continue
                try:
                    record = _RECORD.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    continue  # It is told of as a fault when the file is read through.
                if record.incident and record.input is not None and record.opened_at is not None:
                    found.append(record)
        return found

    def _item(self, line: bytes) -> tuple[datetime, Item] | None:
        if len(line) > _LINE_BYTES_MAX:
            raise Unfit(f"the line is longer than {_LINE_BYTES_MAX:,} bytes")
        if line.lstrip()[:1] == b"[":
            raise Unfit("it is an array: write one alert a line, as jq -c '.[]' does")
        said = _LINE.decode(line)
        if said.labels is not _NOTHING:
            at = _instant(said.at or said.starts_at, 'neither "at" nor "startsAt"')
            return at, self._signal(said, line, at)
        if said.tocsin:
            self.beginning = _BEGINNING.decode(line)
            if self.beginning.tocsin != TITLE or self.beginning.format > FORMAT:
                raise Unfit("it is an export of a newer Tocsin, or none at all")
            return None
        if said.end is not _NOTHING:
            self.ending = _END.decode(said.end)
            return None
        if said.input is _NOTHING and said.silence is _NOTHING:
            raise Unfit('it is neither an alert ("labels") nor a record of an export ("input")')
        return self._record(_RECORD.decode(line))

    def _record(self, record: Recorded) -> tuple[datetime, Recorded]:
        at = _instant(record.at, 'no "at"')
        if record.silence is None and not record.desk:
            raise Unfit('it does not say the "desk"')
        if record.incident and record.opened_at is None:
            raise Unfit('it does not say when the incident was "opened_at"')
        self._records += 1
        return at, record

    def _signal(self, said: _Line, line: bytes, at: datetime) -> Signal:
        key = (bytes(said.labels), bytes(said.annotations), said.generator_url)
        known = self._prototypes.get(key)
        if known is None:
            known = read_alert(line, at, KEY)
            if len(self._prototypes) >= _REMEMBERED_MAX:
                self._prototypes.clear()
            self._prototypes[key] = known
            return known
        starts_at, ends_at = times_of(said.starts_at, said.ends_at, at)
        return Signal(
            known.fingerprint,
            known.source,
            known.title,
            starts_at,
            known.labels,
            known.annotations,
            ends_at,
            known.url,
            KEY,
        )

    def _fault(self, number: int, why: str) -> None:
        self.faulty += 1
        if len(self.faults) < FAULTS_KEPT_MAX:
            self.faults.append(Fault(number, why))


def _instant(moment: datetime | None, missing: str) -> datetime:
    if moment is None:
        raise Unfit(f"it says {missing}")
    if moment.tzinfo is None:
        raise Unfit('"at" has no time zone')
    return moment.astimezone(UTC)
