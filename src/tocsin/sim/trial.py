"""Runs a test of a runbook, and says of each line that does not hold what happened instead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from tocsin.core import inputs as inp
from tocsin.core.desk import REPORT
from tocsin.core.events import Because, NoticeAsked, NoticeLeftToPerson, PageAsked
from tocsin.core.phases import Phase
from tocsin.core.policy import Urgency
from tocsin.core.surroundings import Matcher, Silence, role_key
from tocsin.runbook.findings import did_you_mean
from tocsin.sim.script import Act, Expected, Wrong
from tocsin.sim.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tocsin.core.events import IncidentEvent
    from tocsin.core.policy import Policy
    from tocsin.core.surroundings import Surroundings
    from tocsin.sim.script import Script, Statement

USUAL_START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""When a test begins that does not say when: a Monday morning."""
_SENT = (PageAsked, NoticeAsked)
_TEXTS = ("summary", "description", "message", "title")
_SHOWN_MAX = 6
_SECONDS_A_MINUTE = 60
_LOOKED_AHEAD_MAX = timedelta(days=8)
_CHANNEL_WORDS = {"status_page": "status page", "email": "e-mail", "x": "x"}


class Sending(msgspec.Struct, frozen=True):
    """One message that left, or that a person was asked to send, so long after the start."""

    after: timedelta
    event: PageAsked | NoticeAsked | NoticeLeftToPerson
    level: str


class Failure(msgspec.Struct, frozen=True):
    """A line that does not hold: what it expects, and what happened instead, nearest first."""

    line: int
    text: str
    expected: str
    instead: tuple[str, ...] = ()
    hint: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """What came of one test. ``wrong`` holds lines that could not be understood or done."""

    script: Script
    failures: tuple[Failure, ...] = ()
    wrong: tuple[tuple[int, str], ...] = ()

    @property
    def passed(self) -> bool:
        """Say whether every line was understood and holds."""
        return not self.failures and not self.wrong


def run_script(
    script: Script, policy: Policy, surroundings: Surroundings, at: datetime = USUAL_START
) -> Outcome:
    """Run one test that begins at that instant. A line that is wrong keeps the others from running."""
    if script.wrong:
        return Outcome(script, wrong=script.wrong)
    if not any(isinstance(statement.says, Expected) for statement in script.statements):
        return Outcome(script, wrong=((script.line, "it expects nothing"),))
    return _Trial(script, policy, surroundings, at).run()


class _Trial:
    def __init__(
        self, script: Script, policy: Policy, surroundings: Surroundings, at: datetime
    ) -> None:
        self.script = script
        self.policy = policy
        self.surroundings = surroundings
        self.start = at
        self.world = World(policy, surroundings, at, listen=self._hear)
        self.sent: list[Sending] = []
        self.named: set[int] = set()
        self.failures: list[Failure] = []
        self.wrong: list[tuple[int, str]] = []
        self._missed: list[tuple[Statement, Expected]] = []
        self._levels: dict[str, str] = {}
        self._latest = ""
        self._signals: list[inp.Signal] = []

    def run(self) -> Outcome:
        silences: list[tuple[Statement, timedelta]] = []
        before = timedelta()
        for statement in self.script.statements:
            self.world.advance(max(self.start + statement.at, self.world.at))
            try:
                if isinstance(statement.says, Act):
                    self._do(statement.says)
                elif statement.says.what == "silence":
                    silences.append((statement, before))
                else:
                    self._expect(statement, statement.says)
            except Wrong as error:
                self.wrong.append((statement.line, str(error)))
            before = statement.at
        # Whatever another line names is no breach of a silence, so they are judged last.
        for statement, since in silences:
            self._expect_silence(statement, since)
        self._explain()
        self.failures.sort(key=lambda failure: failure.line)
        return Outcome(self.script, tuple(self.failures), tuple(self.wrong))

    def _hear(self, at: datetime, incident: str, event: IncidentEvent) -> None:
        self._latest = incident
        state_level = getattr(event, "level", "")
        if type(event).__name__ == "SeverityGraded":
            self._levels[incident] = state_level
        if isinstance(event, (*_SENT, NoticeLeftToPerson)):
            self.sent.append(Sending(at - self.start, event, self._levels.get(incident, "")))

    # -- What happens ------------------------------------------------------------------------------

    def _do(self, act: Act) -> None:
        match act.verb:
            case "signal":
                signal = _signal(act, self.world.at)
                self._signals.append(signal)
                self.world.receive(signal)
            case "clear":
                self.world.receive(replace(self._cleared(act), ends_at=self.world.at))
            case "report":
                self.world.receive(_report(act, self.world.at, len(self.sent)))
            case "declare":
                self._declare(act)
            case "silence":
                assert act.lasts is not None
                matchers = tuple(Matcher(name, value) for name, value in act.labels.items())
                ends_at = self.world.at + act.lasts
                name = f"s{len(self.world.surroundings.silences) + 1}"
                self.world.silence(Silence(name, matchers, self.world.at, ends_at))
            case _:
                self._act(act)

    def _cleared(self, act: Act) -> inp.Signal:
        fits = [
            signal
            for signal in {signal.fingerprint: signal for signal in self._signals}.values()
            if all(signal.labels.get(name) == value for name, value in act.labels.items())
        ]
        if len(fits) != 1:
            raise Wrong("no signal above has these labels" if not fits else "several signals do")
        return fits[0]

    def _declare(self, act: Act) -> None:
        level = act.labels.get("severity")
        if level is not None and self.policy.severity(level) is None:
            raise Wrong(self._undeclared(level))
        breach = act.labels.get("breach", "").casefold() in ("yes", "true", "1")
        by = act.by or "Somebody"
        declared = inp.IncidentDeclared(act.words[0], by, level, breach)
        self.world.declare(act.labels.get("service", "unknown"), declared)

    def _act(self, act: Act) -> None:
        by = act.by or "Somebody"
        given: inp.IncidentInput
        match act.verb:
            case "ack":
                given = inp.Acknowledged(by, "the test")
            case "resolve":
                given = inp.ResolvedByPerson(by)
            case "reopen":
                given = inp.ReopenedByPerson(by)
            case "breach":
                given = inp.SecurityBreachDeclared(by)
            case "severity":
                given = inp.SeverityChosen(by, act.words[0], "the test says so")
            case _:
                given = inp.PhaseMoved(by, Phase(act.words[0]))
        refusal = self.world.act(self._incident(act.labels.get("service", "")), given)
        if refusal:
            raise Wrong(refusal.rstrip("."))

    def _incident(self, service: str) -> str:
        found = self.world.open_incident(service) if service else self._latest
        if not found:
            raise Wrong(f"no incident is open{f' for {service}' if service else ' yet'}")
        return found

    # -- What is expected --------------------------------------------------------------------------

    def _expect(self, statement: Statement, expected: Expected) -> None:
        if expected.what in ("severity", "phase"):
            self._expect_state(statement, expected)
            return
        self._check_words(expected)
        if expected.not_:
            fits = [s for s in self.sent if s.after <= statement.at and self._fits(s, expected)]
            if fits:
                self._fail(statement, _said(expected), [_say(s) for s in fits[:_SHOWN_MAX]])
            return
        found = [
            number
            for number, sending in enumerate(self.sent)
            if sending.after == statement.at and self._fits(sending, expected)
        ]
        if found:
            self.named.update(found)
        else:
            self._missed.append((statement, expected))

    def _expect_state(self, statement: Statement, expected: Expected) -> None:
        if expected.what == "severity" and self.policy.severity(expected.whom) is None:
            raise Wrong(self._undeclared(expected.whom))
        if not self._latest:
            self._fail(statement, _said(expected), ["no incident is open yet"])
            return
        state = self.world.incident(self._latest)
        have = state.severity if expected.what == "severity" else state.phase.value
        if have.casefold() != expected.whom.casefold():
            grade = state.grade
            cited = ""
            if expected.what == "severity" and grade is not None and grade.source is not None:
                cited = f", because of L{grade.source.line} “{grade.source.quote}”"
            self._fail(statement, _said(expected), [f"it is {have or 'not graded'}{cited}"])

    def _expect_silence(self, statement: Statement, before: timedelta) -> None:
        since, until = statement.since, statement.at
        disturbing = []
        for number, sending in enumerate(self.sent):
            if not isinstance(sending.event, _SENT) or number in self.named:
                continue
            if since is not None:
                inside = since <= sending.after <= until
            else:
                inside = before < sending.after <= until or before == until == sending.after
            if inside:
                disturbing.append(sending)
        if disturbing:
            said = [_say(sending) for sending in disturbing[:_SHOWN_MAX]]
            if len(disturbing) > _SHOWN_MAX:
                said.append(f"and {len(disturbing) - _SHOWN_MAX} more")
            begins = before if since is None else since
            span = f"from {_clock(begins)} to {_clock(until)}" if begins != until else "at once"
            self._fail(statement, f"nobody is paged or told {span}", said)

    def _fail(
        self, statement: Statement, expected: str, instead: Sequence[str], hint: str = ""
    ) -> None:
        said = f"{_clock(statement.at)} {expected}"
        self.failures.append(Failure(statement.line, statement.text, said, tuple(instead), hint))

    # -- Whether a message is the one that is meant ------------------------------------------------

    def _fits(self, sending: Sending, expected: Expected) -> bool:
        return self._is_to(sending, expected) and self._is_so(sending, expected)

    def _is_to(self, sending: Sending, expected: Expected) -> bool:
        event = sending.event
        if isinstance(event, PageAsked):
            is_page = event.urgency is Urgency.PAGE
            if is_page != (expected.what == "page"):
                return False
            return not expected.whom or _means(
                expected.whom, (event.role, event.name, event.person)
            )
        if expected.what != "notice":
            return False
        return not expected.whom or _means(expected.whom, _targets(event))

    def _is_so(self, sending: Sending, expected: Expected) -> bool:
        event = sending.event
        if isinstance(event, NoticeLeftToPerson):
            via = "person"
        else:
            via = event.contact.kind if event.contact is not None else "app"
        if role_key(expected.via) not in ("", role_key(via), f"a {via}", f"the {via}"):
            return role_key(expected.via) == "e mail" and via == "email"
        if not expected.via and via == "person":
            return False
        return not expected.because or _is_because(sending, expected.because)

    def _check_words(self, expected: Expected) -> None:
        """Raise Wrong for a name that nobody here has and a reason that there is not."""
        if expected.whom:
            names = self._names(expected.what)
            fits = [name for name in names if _means(expected.whom, (name,))]
            exact = [name for name in fits if role_key(name) == role_key(expected.whom)]
            if not fits:
                hint = did_you_mean(expected.whom, names) or f"There are {', '.join(names)}."
                raise Wrong(f"neither runbook nor settings know {expected.whom!r}. {hint}")
            if len({role_key(name) for name in fits}) > 1 and not exact:
                raise Wrong(f"{expected.whom!r} could be {' or '.join(dict.fromkeys(fits))}")
        because = expected.because
        if because and self.policy.severity(because) is None and not _is_line(because):
            reasons = [reason.value for reason in Because]
            if _word(because) not in reasons:
                levels = [severity.level for severity in self.policy.severities]
                hint = did_you_mean(_word(because), (*reasons, *levels))
                raise Wrong(f"{because!r} is no reason, level or line. {hint}".rstrip())

    def _names(self, what: str) -> list[str]:
        directory = self.surroundings.directory
        names = [role for rule in self.policy.escalations for role in rule.to]
        for person in directory.people.values():
            names += [person.name, person.id]
        if what == "notice":
            for rule in self.policy.communications:
                names += [rule.target] if rule.target else []
                names.append(_CHANNEL_WORDS.get(rule.channel, rule.channel))
        return list(dict.fromkeys(names))

    def _undeclared(self, level: str) -> str:
        levels = [severity.level for severity in self.policy.severities]
        return f"the runbook declares {', '.join(levels) or 'no levels'}, and not {level}"

    # -- What happened instead ---------------------------------------------------------------------

    def _instead(self, statement: Statement, expected: Expected) -> list[str]:
        to_them = [s for s in self.sent if self._is_to(s, expected)]
        now = [s for s in self.sent if s.after == statement.at]
        # Who was reached just then, but in another way or for another reason, is the difference.
        different = [s for s in to_them if s.after == statement.at]
        if different:
            return [_say(sending) for sending in different[:_SHOWN_MAX]]
        near = sorted(to_them, key=lambda s: abs(s.after - statement.at))
        others = sorted(self.sent, key=lambda s: abs(s.after - statement.at))
        chosen = list({id(s): s for s in (*near[:2], *now, *others[:2])}.values())[:_SHOWN_MAX]
        told = [_say(sending) for sending in sorted(chosen, key=lambda s: s.after)]
        return told if now else [f"{_clock(statement.at)} nothing is sent", *told]

    def _explain(self) -> None:
        """Say of each message that did not leave what left instead, and whether it does later."""
        if not self._missed:
            return
        last = max(statement.at for statement, _ in self._missed)
        ahead = max(last * _SECONDS_A_MINUTE, last + timedelta(days=1))
        looks_to = self.start + min(ahead, _LOOKED_AHEAD_MAX)
        self.world.advance(max(looks_to, self.world.at))
        for statement, expected in self._missed:
            instead = self._instead(statement, expected)
            self._fail(statement, _said(expected), instead, self._hint(statement, expected))

    def _hint(self, statement: Statement, expected: Expected) -> str:
        """Say so where somebody wrote hours and minutes: it happens then."""
        as_hours = statement.at * _SECONDS_A_MINUTE
        if as_hours and any(s.after == as_hours and self._fits(s, expected) for s in self.sent):
            clock, hours = _clock(as_hours), _hours(as_hours)
            return f"it comes at {clock}: times are minutes:seconds. Write {clock} or {hours}"
        return ""


def _signal(act: Act, at: datetime) -> inp.Signal:
    labels = {name: value for name, value in act.labels.items() if name not in _TEXTS}
    texts = {name: value for name, value in act.labels.items() if name in _TEXTS}
    title = labels.get("alertname") or texts.get("summary") or "A signal"
    fingerprint = " ".join(f"{name}={value}" for name, value in sorted(labels.items()))
    return inp.Signal(fingerprint, "test", title, at, labels, texts, key="test")


def _report(act: Act, at: datetime, number: int) -> inp.Signal:
    title = act.words[0]
    return inp.Signal(
        f"report-{number}-{title}", REPORT, title, at, dict(act.labels), {}, key="test"
    )


def _means(wanted: str, names: Iterable[str]) -> bool:
    """Say whether a name is meant: all words asked for stand in it, one after the other."""
    words = role_key(wanted).removeprefix("the ").split()
    for name in names:
        have = role_key(name).split()
        if any(have[at : at + len(words)] == words for at in range(len(have))):
            return True
    return False


def _targets(event: NoticeAsked | NoticeLeftToPerson) -> tuple[str, ...]:
    channel = _CHANNEL_WORDS.get(event.channel, event.channel)
    target = event.target
    # "slack #incidents" and "#incidents" both mean that channel.
    return (target, channel, f"{channel} {target}", f"{target} {channel}")


def _is_because(sending: Sending, because: str) -> bool:
    event = sending.event
    if _is_line(because):
        return event.source.line == int(because[1:])
    if _word(because) == event.because.value:
        return True
    started = (Because.SEVERITY, Because.OPENED, Because.REGRADED, Because.CONDITION)
    return because.casefold() == sending.level.casefold() and event.because in started


def _is_line(because: str) -> bool:
    return because[:1] in "Ll" and because[1:].isdigit()


def _word(because: str) -> str:
    return because.casefold().replace(" ", "_").replace("-", "_")


def _said(expected: Expected) -> str:
    if expected.what in ("severity", "phase"):
        return f"the {expected.what} is {expected.whom}"
    what = "no " if expected.not_ else "a "
    said = f"{what}{expected.what}"
    said += f" to {expected.whom}" if expected.whom else ""
    said += f" by {expected.via}" if expected.via else ""
    return said + (f", because {expected.because}" if expected.because else "")


def _say(sending: Sending) -> str:
    event = sending.event
    cited = f"L{event.source.line} “{event.source.quote}”"
    when = _clock(sending.after)
    if isinstance(event, PageAsked):
        what = "page" if event.urgency is Urgency.PAGE else "notice"
        who = event.name if event.name == event.role else f"{event.name} ({event.role})"
        via = event.contact.kind if event.contact is not None else "app"
        return f"{when} {what} to {who} via {via} because {event.because.value}  {cited}"
    target = f"{_CHANNEL_WORDS.get(event.channel, event.channel)} {event.target}".strip()
    via = event.contact.kind if isinstance(event, NoticeAsked) else "person"
    return f"{when} notice to {target} via {via} because {event.because.value}  {cited}"


def _clock(after: timedelta) -> str:
    minutes, seconds = divmod(round(after.total_seconds()), 60)
    return f"{minutes:02d}:{seconds:02d}"


def _hours(after: timedelta) -> str:
    minutes, seconds = divmod(round(after.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
