"""The pages about findings: their examples compiled, and what ``check`` says of them.

``python -m tests.runbook.explained --write`` writes anew what is printed below each example, and the
index of the pages.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from pathlib import Path

import msgspec
from rich.console import Console

from tocsin import config
from tocsin.cli.alert_rules import read_rules
from tocsin.cli.telling import Teller
from tocsin.core.policy import Finding
from tocsin.runbook import compile_runbook
from tocsin.runbook.findings import CATALOGUE
from tocsin.runbook.lint import Known, check

FOLDER = Path(__file__).parents[2] / "docs" / "findings"
INDEX = FOLDER / "README.md"
# Nothing written in a document brings this one about: it is about files that have gone.
WITHOUT_EXAMPLE = frozenset(("T159",))
GROUPS = {
    "The runbook as a whole": ("T100", "T150", "T105", "T151", "T152", "T153", "T159", "T160", "T162"),
    "Severity levels": ("T101", "T102", "T103", "T104", "T106", "T118", "T136", "T147"),
    "Who is paged": (
        "T120", "T121", "T122", "T148", "T170", "T123", "T124", "T125", "T126", "T127", "T128", "T129", "T130",
        "T140", "T141", "T142", "T143", "T146",
    ),
    "Who is told": ("T131", "T132", "T133", "T134", "T135", "T137", "T144", "T145"),
    "Scenarios and alerts": ("T161", "T163", "T164", "T173", "T174", "T176", "T177", "T178"),
    "Commands": (
        "T107", "T108", "T109", "T110", "T111", "T112", "T113", "T114", "T115", "T116", "T117",
        "T119", "T171", "T172", "T175",
    ),
}  # fmt: skip
_FILE = re.compile(
    r"(?:^`(?P<name>[\w.-]+)`:\n\n)?^(?P<marks>`{3,})(?P<language>markdown|toml|yaml)\n"
    r"(?P<body>.*?)^(?P=marks)$",
    re.MULTILINE | re.DOTALL,
)
_PRINTED = re.compile(r"^```console\n\$ tocsin check .*?^```$", re.MULTILINE | re.DOTALL)
_ROWS = re.compile(
    r"(?<=<!-- The rest is written by tests.runbook.explained. -->\n).*\Z", re.DOTALL
)


class Example(msgspec.Struct, frozen=True):
    """The files of an example by name; one that gives no name is ``runbook.md``."""

    files: dict[str, str]

    def findings(self) -> tuple[tuple[Finding, ...], dict[str, str]]:
        """Return everything that check says about it, and its documents."""
        documents = {name: text for name, text in self.files.items() if name.endswith(".md")}
        known = Known()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file, text in self.files.items():
                (folder / file).write_text(text, encoding="utf-8")
            if "tocsin.toml" in self.files:
                settings = config.load(folder / "tocsin.toml", {}, need_secrets=False)
                known = Known(settings.directory, settings.tuning, configured=True)
            if "rules.yml" in self.files:
                alerts = read_rules([folder / "rules.yml"]).alerts
                own = tuple(msgspec.structs.replace(a, file="rules.yml") for a in alerts)
                known = msgspec.structs.replace(known, alerts=own)
        return check(compile_runbook(documents), known), documents

    def printed(self, code: str) -> str:
        """Return what is printed about the first finding of a code, as it stands on the page."""
        found, documents = self.findings()
        first = next(finding for finding in found if finding.code == code)
        out = io.StringIO()
        console = Console(file=out, highlight=False, soft_wrap=True, markup=False, emoji=False)
        Teller(console, self.files).tell([first])
        lines = [line for line in out.getvalue().splitlines() if "= explained: " not in line]
        what = "runbook.md" if list(documents) == ["runbook.md"] else "."
        alerts = " --alerts rules.yml" if "rules.yml" in self.files else ""
        told = "\n".join(lines[:-1]).rstrip()
        return f"```console\n$ tocsin check {what}{alerts}\n{told}\n```"


def page(code: str) -> str:
    return (FOLDER / f"{code}.md").read_text(encoding="utf-8")


def example_in(text: str) -> Example:
    """Return the example of a page, which stands below its heading."""
    _, _, below = text.partition("\n## An example\n")
    found = {m["name"] or "runbook.md": m["body"] for m in _FILE.finditer(below)}
    return Example(found)


def with_output(code: str, text: str) -> str:
    """Return a page with what is printed about its example."""
    return _PRINTED.sub(lambda _: example_in(text).printed(code), text, count=1)


def index() -> str:
    """Return the index with one row a page, group by group."""
    rows: list[str] = []
    for title, codes in GROUPS.items():
        rows += ["", f"## {title}", "", "| Code | Level | What |", "|---|---|---|"]
        rows += [
            f"| [{code}]({code}.md) | {CATALOGUE[code][0]} | {CATALOGUE[code][1]} |"
            for code in codes
        ]
    written = "\n".join(rows) + "\n"
    return _ROWS.sub(lambda _: written, INDEX.read_text(encoding="utf-8"))


def main() -> None:
    for code in CATALOGUE:
        text = page(code)
        if code not in WITHOUT_EXAMPLE:
            (FOLDER / f"{code}.md").write_text(with_output(code, text), encoding="utf-8")
    INDEX.write_text(index(), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(f"usage: python -m {__spec__.name} --write")
    main()
