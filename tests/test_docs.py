"""The documents say what is so: names, links, commands, codes, routes, settings and examples.

Blocks that show what the compiler makes of something are made by the compiler:
``python -m tests.test_docs`` writes them anew, and the tests compare them with what stands there.
"""

from __future__ import annotations

import importlib
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer.main

from tocsin import config
from tocsin.base import faults
from tocsin.base.durations import say_duration
from tocsin.cli.main import app as commands
from tocsin.core.policy import Clock, Policy, Urgency
from tocsin.engine.about import About
from tocsin.integrations.outbound.webhook import sign
from tocsin.runbook import Compiled, compile_runbook
from tocsin.web.app import create_app
from tocsin.web.guard import declared_routes
from tocsin.web.openapi import describe

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])
EXAMPLE = ROOT / "examples" / "neurocred" / "incident-response.md"

LEVELS = """\
# Runbook

## Severity levels

### P0 - Critical
- Everything is down

### P1 - High
- Much is down

### P2 - Medium
- Little is down

### P3 - Low
- Nothing is down

"""
_FENCE = re.compile(
    r"^(?P<marks>`{3,})(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=marks)$", re.MULTILINE | re.DOTALL
)
_SHOWN = re.compile(
    r"^(?P<marks>`{3,})markdown\n(?P<said>.*?)^(?P=marks)\n\n```text\n.*?^```$",
    re.MULTILINE | re.DOTALL,
)
_CODE = re.compile(r"T\d{3} ")
_ROW = re.compile(r"^\| L(?P<line>\d+) \|(?P<words>.*)\|(?P<rule>.*)\|$", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_DOTTED = re.compile(r"`(tocsin(?:\.\w+)+)(?:\(\))?`")


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return _FENCE.sub("", page.read_text("utf-8"))


def blocks(page: Path, *languages: str) -> Iterator[str]:
    """Yield the code blocks of a page in one of these languages."""
    for found in _FENCE.finditer(page.read_text("utf-8")):
        if found["language"] in languages:
            yield found["body"]


def named(pages: list[Path]) -> Any:
    return pytest.mark.parametrize("page", pages, ids=lambda p: str(p.relative_to(ROOT)))


# -- Names, links, commands ------------------------------------------------------------------------


def test_every_name_in_the_tour_exists() -> None:
    names = set(_DOTTED.findall((DOCS / "tour.md").read_text("utf-8")))
    assert len(names) > 20
    for name in sorted(names):
        assert _found(name) is not None, name


@named(PAGES)
def test_every_name_in_a_page_exists(page: Path) -> None:
    for name in _DOTTED.findall(page.read_text("utf-8")):
        assert name in ("tocsin.toml", "tocsin.log") or _found(name) is not None, name


def _found(name: str) -> object:
    """Return the object of a dotted name: import as far as there are modules, then look inside."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part, None)
        return found
    return None


@named(PAGES)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(prose(page)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in _anchors(there), target


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


@named(PAGES)
def test_every_picture_is_small_and_said_in_words(page: Path) -> None:
    for words, target in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", page.read_text("utf-8")):
        assert len(words.split()) > 2, target
        assert (page.parent / target).stat().st_size <= 250_000, target


@named(PAGES)
def test_every_command_exists_with_its_options(page: Path) -> None:
    known = _commands()
    groups = {name.partition(" ")[0] for name in known if " " in name}
    text = page.read_text("utf-8")
    lines = [line for body in blocks(page, "bash", "sh", "console") for line in body.splitlines()]
    lines += re.findall(r"`([^`\n]*)`", _FENCE.sub("", text))
    for line in lines:
        for name, rest in re.findall(
            r"(?:^|[\s;&|]|bin/)tocsin ([a-z][a-z-]*)(?![\w.-])([^;&|#]*)", line
        ):
            word = [*rest.split(), "-"][0]
            whole = name if name not in groups or word.startswith("-") else f"{name} {word}"
            if whole in groups and not rest.strip():
                continue  # Named as a whole, in running text.
            assert whole in known, line
            assert set(re.findall(r"(?<=\s)--[a-z-]+", rest)) <= known[whole], line


def test_every_command_stands_in_its_page() -> None:
    text = (DOCS / "cli.md").read_text("utf-8")
    for name in _commands():
        group = name.partition(" ")[0]
        headed = re.search(rf"^##+ `tocsin {name}\b", text, re.MULTILINE)
        # A group of few may share the section of its first.
        assert headed or (f"`tocsin {name}" in text and f"### `tocsin {group}`" in text), name


def _commands() -> dict[str, set[str]]:
    """Return the options of every command; those of a group are "user add", "user list"."""
    found: dict[str, Any] = {}
    for name, command in typer.main.get_command(commands).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", {})
        found |= {f"{name} {sub}": each for sub, each in inner.items()}
        if not inner or command.invoke_without_command:
            found[name] = command
    return {
        name: {option for param in command.params for option in (*param.opts, "--help")}
        for name, command in found.items()
    }


# -- Settings --------------------------------------------------------------------------------------


class _Spy(config._Reader):
    """Notes every key that the settings may have, while they are read."""

    def __init__(self) -> None:
        super().__init__(Path("tocsin.toml"), "", {}, need_secrets=False)
        self.known: set[str] = set()

    def keys(self, where: str, table: dict[str, Any], known: tuple[str, ...]) -> None:
        place = re.sub(r"\.x$", ".NAME", where)
        self.known |= {f"{place}.{key}" if place else key for key in known}


def test_every_setting_has_its_section_and_no_section_is_about_nothing() -> None:
    spy = _Spy()
    spy.settings({"people": {"x": {}}, "webhooks": {"x": {}}, "email": {"host": "h", "from": "f"}})
    tables = {key.rpartition(".")[0] for key in spy.known}
    known = {key for key in spy.known if not any(f"{t}.".startswith(f"{key}.") for t in tables)}
    text = (DOCS / "settings.md").read_text("utf-8")
    assert set(re.findall(r"^### `([\w.]+)`$", text, re.MULTILINE)) == known


@named(PAGES)
def test_every_example_of_settings_is_read_without_a_mistake(page: Path, tmp_path: Path) -> None:
    for number, body in enumerate(blocks(page, "toml")):
        for secret in re.findall(r'file = "([^"]+)"', body):
            (tmp_path / secret).parent.mkdir(exist_ok=True)
            (tmp_path / secret).write_text("kept\n")
        file = tmp_path / f"{number}.toml"
        file.write_text(body)
        names = re.findall(r'env = "(\w+)"', body)
        config.load(file, dict.fromkeys(names, "https://hooks.example.org/x"))
        assert tomllib.loads(body)


# -- The API ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def app() -> Any:
    return create_app(SimpleNamespace(version="0", about=About()))  # type: ignore[arg-type] # nothing is called


def test_every_route_stands_in_its_page_with_its_scopes(app: Any) -> None:
    needs = {
        (method, route.path): route.needs
        for route in declared_routes(app)
        for method in route.methods
    }
    expected = set()
    for path, methods in describe(app)["paths"].items():
        for method in methods:
            scopes = needs[method.upper(), path]
            said = "anybody" if scopes is None else " or ".join(sorted(scopes))
            expected.add((method.upper(), path, said))
    text = (DOCS / "api.md").read_text("utf-8")
    rows = re.findall(r"^\| `([A-Z]+) (\S+)` \| ([a-z ]+) \|", text, re.MULTILINE)
    assert set(rows) == expected


# -- What the compiler makes of a text -------------------------------------------------------------


def outline(compiled: Compiled, above: int = 0) -> list[tuple[int, str]]:
    """Return what was read, by line, in words short enough for a page.

    Lines count from the one below ``above``.
    """
    policy = compiled.policy
    found = [*_levels(policy), *_rules(policy), *_plays(policy, above), *_others(policy)]
    found += [(f.source.line, f"{f.code} {f.message}") for f in compiled.findings]

    def counted(named: re.Match[str]) -> str:
        return f"lines {int(named[1]) - above}-{int(named[2]) - above}"

    rows = [(n - above, re.sub(r"\blines (\d+)-(\d+)", counted, said)) for n, said in found]
    return sorted(rows, key=lambda row: row[0])


def _levels(policy: Policy) -> Iterator[tuple[int, str]]:
    for level in policy.severities:
        name = f", {level.name}" if level.name else ""
        yield level.source.line, f"level {level.level}{name}"
        for criterion in level.criteria:
            yield criterion.source.line, f"{level.level} if “{criterion.text}”"


def _rules(policy: Policy) -> Iterator[tuple[int, str]]:
    waits = {Clock.UNRESOLVED: "if not resolved", Clock.UNACKNOWLEDGED: "if not acknowledged"}
    for rule in policy.escalations:
        whom = f"{'page' if rule.urgency is Urgency.PAGE else 'tell'} {', '.join(rule.to)}"
        when = "at once"
        if rule.after_s:
            after = say_duration(timedelta(seconds=rule.after_s))
            when = f"after {after} {waits.get(rule.clock, '')}".strip()
        what = ", ".join(rule.severity)
        if rule.condition is not None:
            what = rule.condition.replace("_", " ")
        again = " (nobody new)" if rule.reaches_nobody_new else ""
        yield rule.source.line, f"{what}: {whom} {when}{again}"
    for told in policy.communications:
        target = f" {told.target}" if told.target else ""
        every = ""
        if told.cadence_s:
            every = f", every {say_duration(timedelta(seconds=told.cadence_s))}"
        whom = "customers, by " if told.external else ""
        levels = ", ".join(told.severity) or f"no level: “{told.unknown_filter}” is none"
        after = ", after approval" if told.approval else ""
        yield told.source.line, f"tell {whom}{told.channel}{target} for {levels}{every}{after}"


def _plays(policy: Policy, above: int) -> Iterator[tuple[int, str]]:
    for play in policy.plays:
        yield play.source.line, f"play {play.name}{f', {play.severity}' if play.severity else ''}"
        if play.alert:
            yield play.source.line, f"explains {', '.join(play.alert)}"
        for symptom in play.symptoms:
            yield symptom.source.line, f"symptom “{symptom.text}”"
        for step in play.steps:
            yield step.source.line, f"step, {step.kind}: {step.text}"
            for command in step.commands:
                words = shlex.join(command.argv) if command.argv else command.text
                at = command.source.line
                place = "" if at == step.source.line else f", L{at - above}"
                yield step.source.line, f"{command.kind}{place}: {words}"
            for key in ("approval", "query", "undo"):
                if said := getattr(step, key):
                    yield step.source.line, f"{key}: {said}"


def _others(policy: Policy) -> Iterator[tuple[int, str]]:
    for checklist in policy.checklists:
        yield checklist.source.line, f"checklist {checklist.title}"
        for item in checklist.items:
            yield item.source.line, f"item: {item.text}"
    if policy.postmortem is not None:
        for section in policy.postmortem.sections:
            yield section.source.line, f"post-mortem section {section.title}"
            for prompt in section.prompts:
                yield prompt.source.line, f"question: {prompt.text}"
        for item in policy.postmortem.action_items:
            yield item.source.line, f"action item: {item.text}"


def made_of(fragment: str) -> str:
    """Return what a part of a runbook compiles to; its first line is L1.

    It stands under the levels P0 to P3, unless it declares levels itself.
    """
    before = "# Runbook\n\n" if re.search(r"^## Severity", fragment, re.MULTILINE) else LEVELS
    above = before.count("\n")
    rows = outline(compile_runbook({"runbook.md": before + fragment}), above)
    return "".join(f"L{line:<3} {said}\n" for line, said in rows if line > 0)


def rewritten(text: str) -> str:
    """Return a page with everything in it that the compiler made, made anew."""
    lines = EXAMPLE.read_text("utf-8").splitlines()
    made = outline(compile_runbook({EXAMPLE.name: EXAMPLE.read_text("utf-8")}))

    def row(found: re.Match[str]) -> str:
        words = lines[int(found["line"]) - 1].strip()
        quoted = f"`` {words} ``" if "`" in words else f"`{words}`"
        said = [text for line, text in made if line == int(found["line"])]
        rules = [text for text in said if not _CODE.match(text)]
        codes = [text[:4] for text in said if _CODE.match(text)]
        # A rule speaks for itself, and its findings are named; what has none says its finding.
        rule = "<br>".join(rules or said) + (f" ({', '.join(codes)})" if rules and codes else "")
        return f"| L{found['line']} | {quoted} | {rule} |"

    def block(found: re.Match[str]) -> str:
        said, marks = found["said"], found["marks"]
        return f"{marks}markdown\n{said}{marks}\n\n```text\n{made_of(said)}```"

    return _ROW.sub(row, _SHOWN.sub(block, text))


@named(PAGES)
def test_what_the_compiler_is_said_to_make_is_what_it_makes(page: Path) -> None:
    text = page.read_text("utf-8")
    assert rewritten(text) == text, "write it anew: python -m tests.test_docs"


# -- Recipes ---------------------------------------------------------------------------------------


def test_the_recipe_for_signatures_takes_what_we_sign_and_nothing_else() -> None:
    [recipe] = blocks(DOCS / "integrations" / "webhook.md", "python")
    room: dict[str, Any] = {}
    exec(recipe, room)  # noqa: S102 - our own page
    body, secret, now = b'{"version":1}', "s3cret", 1_772_330_400
    headers = {
        "Tocsin-Timestamp": str(now),
        "Tocsin-Signature": f"v1={sign(secret, now, body)}",
    }
    is_from_tocsin = room["is_from_tocsin"]
    assert is_from_tocsin(headers, body, secret, now + 299)
    assert not is_from_tocsin(headers, body + b" ", secret, now)
    assert not is_from_tocsin(headers, body, "other", now)
    assert not is_from_tocsin(headers, body, secret, now + 301)
    assert not is_from_tocsin({}, body, secret, now)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(rewritten(page.read_text("utf-8")), "utf-8")
        sys.stdout.write(f"{page.relative_to(ROOT)}\n")


# -- Proofs ----------------------------------------------------------------------------------------

RELIABILITY = DOCS / "reliability.md"
_PROOF = re.compile(
    r"<!-- proof: (?P<name>\S+) -->\n(?P<body>.*?)<!-- end: (?P=name) -->", re.DOTALL
)
_MEASURED = re.compile(
    r"Measured on \d{4}-\d\d-\d\d, \d+ cores?, \d+ GB of memory; \S.*; seed \w+\.\n\n"
    r"\| what \| measured \| budget \|\n\|---\|---\|---\|\n(\|.*\|\n)+"
)


def proofs() -> list[str]:
    """The targets of the Makefile that prove something."""
    [line] = re.findall(r"^PROOFS := (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    return line.split()


def test_every_proof_has_a_section_a_row_and_its_figures() -> None:
    page = RELIABILITY.read_text("utf-8")
    assert [found["name"] for found in _PROOF.finditer(page)] == proofs()
    assert [h for h in re.findall(r"^## (\S+)$", page, re.MULTILINE) if h in proofs()] == proofs()
    rows = re.findall(r"^\| .*`make (\S+)`\]\(#(\S+)\) \| `(\S+)` \|$", page, re.MULTILINE)
    assert [target for target, _, _ in rows] == proofs()
    for target, anchor, test in rows:
        assert anchor == target
        assert (ROOT / test).is_file(), test
        module = f"tests/proof/{target.replace('-', '_')}.py"
        assert (ROOT / module).is_file(), module
        assert f"make {target} ARGS=--write" in page or _figures_of(page, target)


def _figures_of(page: str, proof: str) -> bool:
    """Say whether the block of a proof was written by its command: it has all that one writes."""
    bodies = {found["name"]: found["body"] for found in _PROOF.finditer(page)}
    return _MEASURED.fullmatch(bodies[proof]) is not None


def test_every_crash_point_is_explained() -> None:
    section = RELIABILITY.read_text("utf-8").split("\n## Crash points\n")[1].split("\n## ")[0]
    named_there = re.findall(r"`([a-z]+\.[a-z_]+)`", section.split("\n| Point |")[1])
    assert named_there == list(faults.NAMES)
