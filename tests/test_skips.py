"""The rule that CI forbids skips is itself proved: a skipped test must fail the session there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SAMPLES = {
    "a test that is skipped": "import pytest\ndef test_a(): pytest.skip('no program')\n",
    "a file that is skipped": "import pytest\npytest.skip('no program', allow_module_level=True)\n",
    "a fixture that skips": (
        "import pytest\n@pytest.fixture\ndef f(): pytest.skip('no program')\ndef test_a(f): pass\n"
    ),
}


def _session(folder: Path, code: str, forbid: str, *more: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text((HERE / "conftest.py").read_text())
    (folder / "test_sample.py").write_text(code + "def test_b(): pass\n")
    (folder / "pytest.ini").write_text("[pytest]\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *more, "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": os.defpath,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "TOCSIN_FORBID_SKIPS": forbid,
        },
    )


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_skip_fails_the_session_where_skips_are_forbidden(tmp_path: Path, sample: str) -> None:
    done = _session(tmp_path, SAMPLES[sample], "1")
    assert done.returncode == 1, done.stdout
    assert "skips are forbidden" in done.stdout
    assert "no program" in done.stdout


def test_a_skip_fails_it_also_when_the_work_is_shared_out(tmp_path: Path) -> None:
    done = _session(tmp_path, SAMPLES["a test that is skipped"], "1", "-n", "2")
    assert done.returncode == 1, done.stdout
    assert "no program" in done.stdout


def test_elsewhere_a_skip_is_only_said(tmp_path: Path) -> None:
    done = _session(tmp_path, SAMPLES["a test that is skipped"], "0")
    assert done.returncode == 0, done.stdout


def test_without_skips_the_session_passes_where_they_are_forbidden(tmp_path: Path) -> None:
    expected = "import pytest\n@pytest.mark.xfail\ndef test_a(): assert False\n"
    assert _session(tmp_path, expected, "1").returncode == 0
