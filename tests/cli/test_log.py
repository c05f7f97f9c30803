from __future__ import annotations

import os
from pathlib import Path

from tocsin.cli import log


def test_lines_are_added_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\n")
    stream = log.stream(tmp_path / "log")
    stream.write("one\n")
    stream.write("two ü \ud800\n")
    stream.flush()
    assert (tmp_path / "log").read_text("utf-8") == "before\none\ntwo ü \\ud800\n"


def test_a_full_disk_loses_words_and_ends_nothing() -> None:
    stream = log.stream(Path("/dev/full"))
    assert stream.write("lost\n") == 5


def test_nobody_who_reads_is_no_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    stream = log.stream(Path(f"/proc/self/fd/{writer}"))
    os.close(reader)
    stream.write("lost\n")
    os.close(writer)
