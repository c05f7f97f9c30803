"""No text takes long, however odd: what grows with its length grows no faster."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.runbook.documents import PROCESS, assert_ledger_is_complete, compiled

_N = 20_000
_TOLD = f"{PROCESS}\n## Communication\n\n"
_PLAY = f"{PROCESS}\n## Scenarios\n\n### A\n\n"
ODD = {
    "blanks in an item": _TOLD + "- x" + " " * _N + "y",
    "words in an item": _TOLD + "- Slack: " + "word " * _N,
    "commas": _TOLD + "- " + "every 5 min, " * _N,
    "approvals": _TOLD + "- " + "requires " * _N,
    "channels": _TOLD + "- " + "#a" * _N,
    "addresses": _TOLD + "- " + "a.b" * _N + "@",
    "rows": _TOLD + "|a|b|\n|-|-|\n" + "|P0|slack|\n" * 2_000,
    "columns": _TOLD + "|" + "P0|" * 1_000 + "\n|" + "-|" * 1_000 + "\n|" + "x|" * 1_000,
    "stars": _PLAY + "**" * _N,
    "labels": _PLAY + "**A:** b\n" * 2_000,
    "names": f"{PROCESS}\n## Scenarios\n\n### {'AaBb/' * _N}\n\n- x",
    "steps in a block": _PLAY + "**Steps:**\n\n```\n" + "- x\n" * 5_000 + "```",
    "brackets in a block": _PLAY + "```\n" + "[A" * _N + "\n```",
    "blanks to fill in": _PLAY + "```\n" + "_" * _N + "x\n```",
    "links": _PLAY + "[x](#y) " * 2_000,
    "anchors": _PLAY + "<a id=" * _N,
    "scenarios": PROCESS + "\n## Alert: AaBb\n\n- x\n" * 1_000,
    "quotations": "> " * 2_000 + "x",
    "lists": "".join("  " * n + "- x\n" for n in range(500)),
    "details": _PLAY + "<details>\n<summary>" * 2_000,
    "admonitions": _PLAY + "!!! x\n    " * 5_000,
    "colons": _PLAY + ":::a\n" * 5_000,
    "front matter": "---\n" + "a: [b," * _N + "\n---\n",
    "annotations": _PLAY + "- x\n\n```tocsin\n" + "undo: x\n" * 2_000 + "```\n",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_an_odd_text_is_compiled_soon(text: str) -> None:
    began = time.perf_counter()
    result = compiled(text)
    assert time.perf_counter() - began < 5
    assert_ledger_is_complete(result)


def test_characters_far_outside_of_latin_are_letters_to_the_shell() -> None:
    # In a process of its own: the grammar's scanner killed the one that fed it such characters.
    code = (
        "import random\n"
        "from tocsin.runbook.shell import Row, read_shell\n"
        "chance = random.Random(2)\n"
        "far = [chr(chance.randrange(0x10000, 0x10FFFF)) for _ in range(50)]\n"
        "heads = ['$', '${', '<<', '$((', '@(', '[[ a = ', '#', '?(', 'test ']\n"
        "for _ in range(4000):\n"
        "    text = ''.join(chance.choice(heads + far) for _ in range(chance.randrange(1, 12)))\n"
        "    read_shell((Row(text, 1, 0),))\n"
    )
    for _ in range(3):
        assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_words_that_are_not_latin_keep_their_letters() -> None:
    text = f"{_PLAY}```bash\necho 'Übermaß 🚒' --größe=ß\n```\n"
    commands = [c for s in compiled(text).policy.plays[0].steps for c in s.commands]
    assert commands[0].argv == ("echo", "Übermaß 🚒", "--größe=ß")


def test_a_column_counts_characters_as_they_are_written() -> None:
    result = compiled(f"{_PLAY}- Größe ß ß: look if needed\n")
    finding = next(f for f in result.findings if f.code == "T112")
    line = f"{_PLAY}- Größe ß ß: look if needed\n".split("\n")[finding.source.line - 1]
    assert line[finding.column - 1 :] == "if needed"
