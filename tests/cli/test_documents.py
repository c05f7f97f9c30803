"""``tocsin compile`` and ``init``, as a person and a program call them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tocsin.cli import check, documents
from tocsin.cli.serving import settings_beside

EXAMPLE = Path(__file__).parents[2] / "examples" / "neurocred" / "incident-response.md"
BROKEN = "# R\n\n## Severity\n\n### P0 - Worst\n- x\n\n### P0 - Best\n- y\n\n### P1\n- z\n"


def run(*words, settings_of=None):
    app = typer.Typer()
    check.register(app, settings_of)
    documents.register(app)
    return CliRunner().invoke(app, [str(word) for word in words])


def written(tmp_path, text, name="runbook.md"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_compile_prints_the_policy():
    result = run("compile", EXAMPLE, "--format", "json")
    assert result.exit_code == 0
    value = json.loads(result.stdout)
    assert [s["level"] for s in value["severities"]] == ["P0", "P1", "P2", "P3"]
    assert len(value["plays"]) == 4


def test_compile_of_a_runbook_with_errors_says_so_and_exits_with_one(tmp_path):
    result = run("compile", written(tmp_path, BROKEN), "--format", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["severities"]
    assert "T101" in result.stderr


def test_a_folder_is_read_whole(tmp_path):
    written(tmp_path, EXAMPLE.read_text(encoding="utf-8"), "process.md")
    (tmp_path / "alerts").mkdir()
    written(tmp_path, "# Full\n\n## Meaning\n\nx\n\n## Mitigation\n\ny\n", "alerts/Full.md")
    value = json.loads(run("compile", tmp_path).stdout)
    assert value["plays"][0]["name"] == "Full"
    assert len(value["plays"]) == 5


@pytest.mark.parametrize("command", ["check", "compile"])
def test_what_cannot_be_read_is_one_line_and_exit_code_two(tmp_path, command):
    empty = tmp_path / "empty"
    empty.mkdir()
    latin = tmp_path / "latin.md"
    latin.write_bytes("# caf\xe9\n".encode("latin-1"))
    for path, said in ((tmp_path / "no.md", "no such"), (empty, "no Markdown"), (latin, "UTF-8")):
        result = run(command, path)
        assert result.exit_code == 2
        assert result.stdout == ""
        [line] = result.stderr.splitlines()
        assert line.startswith(f"tocsin: {path}: ")
        assert line.endswith(".")
        assert said in line


def test_init_writes_a_runbook_of_which_only_the_addresses_are_missing(tmp_path):
    target = tmp_path / "new"
    result = run("init", target)
    assert result.exit_code == 0
    assert "tocsin check" in result.stdout
    assert "tocsin serve" in result.stdout
    checked = run("check", target, "--format", "json", settings_of=settings_beside)
    assert checked.exit_code == 0
    found = json.loads(checked.stdout)["findings"]
    assert [f["code"] for f in found] == ["T144", "T144", "T143", "T143"]
    assert all("[email]" in f["message"] or "[slack]" in f["message"] for f in found)


def test_the_sections_that_init_comments_out_are_all_that_is_missing(tmp_path):
    run("init", tmp_path)
    settings = tmp_path / "tocsin.toml"
    section = re.compile(r"^# (?=\[\w+\]$|\w+ = )", re.M)
    settings.write_text(section.sub("", settings.read_text()))
    checked = run("check", tmp_path, "--format", "json", settings_of=settings_beside)
    assert json.loads(checked.stdout)["findings"] == []


def test_init_never_overwrites(tmp_path):
    run("init", tmp_path)
    mine = written(tmp_path, "mine", "incident-response.md")
    before = (tmp_path / "tocsin.toml").read_text()
    result = run("init", tmp_path)
    assert result.exit_code == 2
    assert f"{mine} and {tmp_path / 'tocsin.toml'}: already there" in result.stderr
    assert mine.read_text() == "mine"
    assert (tmp_path / "tocsin.toml").read_text() == before


def test_init_writes_the_settings_for_a_runbook_that_is_there(tmp_path):
    mine = written(tmp_path, EXAMPLE.read_text(encoding="utf-8"), "our-incidents.md")
    result = run("init", tmp_path)
    assert result.exit_code == 0
    assert f"Wrote {tmp_path / 'tocsin.toml'}." in result.stdout
    assert f"Left {mine} as it was." in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["our-incidents.md", "tocsin.toml"]
    settings = (tmp_path / "tocsin.toml").read_text()
    for role in ("On-Call Engineer", "Team Lead", "Engineering Manager", "CTO"):
        assert f'"{role}" = [' in settings
    assert '# "#neurocred-incidents" = ' in settings
    assert '# "team" = ["email:' in settings
    assert '# "users" = ["email:' in settings
    checked = run("check", mine, "--format", "json", settings_of=settings_beside)
    found = [f["code"] for f in json.loads(checked.stdout)["findings"]]
    assert "T141" not in found
    assert found.count("T142") == 4
    assert {"T132", "T137"} <= set(found)


def test_the_settings_for_a_runbook_lack_nothing_but_real_addresses(tmp_path):
    written(tmp_path, EXAMPLE.read_text(encoding="utf-8"))
    run("init", tmp_path)
    settings = tmp_path / "tocsin.toml"
    commented = re.compile(r'^# (?=\[\w+\]$|\w+ = |")', re.M)
    settings.write_text(commented.sub("", settings.read_text()))
    checked = run("check", tmp_path, "--format", "json", settings_of=settings_beside)
    found = {f["code"] for f in json.loads(checked.stdout)["findings"]}
    assert found.isdisjoint({"T132", "T137", "T141", "T142", "T143", "T144", "T146"})


def test_init_writes_a_runbook_beside_settings_that_are_there(tmp_path):
    settings = written(tmp_path, "# mine\n", "tocsin.toml")
    readme = written(tmp_path, "# Our project\n\nHello.\n", "README.md")
    result = run("init", tmp_path)
    assert result.exit_code == 0
    assert f"Wrote {tmp_path / 'incident-response.md'}." in result.stdout
    assert f"Left {settings} as it was." in result.stdout
    assert (settings.read_text(), readme.read_text()) == ("# mine\n", "# Our project\n\nHello.\n")


def test_any_role_can_be_written_into_the_settings(tmp_path):
    text = (
        "# R\n\n## Severity\n\n### P0\n- x\n\n### P1\n- y\n\n## Escalation path\n\n"
        '1. **The "first" engineer**: first response\n2. **\u7d4c\u55b6**: P0\n3. **\u8cac\u4efb**: P1\n'
    )
    written(tmp_path, text)
    run("init", tmp_path)
    checked = run("check", tmp_path, "--format", "json", settings_of=settings_beside)
    assert checked.exit_code == 0
    assert "T141" not in {f["code"] for f in json.loads(checked.stdout)["findings"]}


def test_the_example_settings_name_everybody_and_say_that_nothing_leaves_yet():
    checked = run("check", EXAMPLE, "--format", "json", settings_of=settings_beside)
    assert checked.exit_code == 0
    found = json.loads(checked.stdout)["findings"]
    about = [
        f["code"] for f in found if f["code"].startswith("T14") or f["code"] in ("T132", "T137")
    ]
    assert sorted(about) == ["T143"] * 4 + ["T144"] * 3


def test_checking_starts_neither_the_parsers_nor_the_server_for_nothing(tmp_path):
    code = (
        "import sys; from tocsin.runbook import compile_runbook;"
        "compile_runbook({'x.md': '# R\\n\\n## Severity\\n\\n### P0\\n- x\\n\\n### P1\\n- y\\n'});"
        "print([m for m in ('sqlglot', 'tree_sitter', 'asyncpg', 'fastapi') if m in sys.modules])"
    )
    src = Path(documents.__file__).parents[2]
    told = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(src)}, capture_output=True, check=True
    )
    assert told.stdout.strip() == b"[]"
