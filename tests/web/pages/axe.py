"""axe-core, from its npm package where npm can be asked for it. It is no dependency of ours."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

VERSION = "4.14.1"


@functools.cache
def axe_source() -> str | None:
    """Return the script, or None where it cannot be had. Kept beside other temporary files."""
    folder = Path(tempfile.gettempdir()) / f"tocsin-axe-{VERSION}"
    script = folder / "package" / "axe.min.js"
    if not script.is_file():
        npm = shutil.which("npm")
        if npm is None:
            return None
        folder.mkdir(exist_ok=True)
        try:
            subprocess.run(
                [npm, "pack", f"axe-core@{VERSION}", "--silent"],
                cwd=folder,
                check=True,
                timeout=60,
                capture_output=True,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return None
        with tarfile.open(folder / f"axe-core-{VERSION}.tgz") as package:
            package.extract("package/axe.min.js", folder, filter="data")
    return script.read_text(encoding="utf-8")
