"""An image whose settings mean harm, to be handed in by one of the attacks."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parent


def make_context(folder: Path) -> None:
    """Dockerfile, program, the library that it preloads, and the C library that both need, in ``folder``."""
    root = folder / "root"
    root.mkdir(parents=True)
    flags = ["cc", "-O1", "-Wall", "-Werror"]
    subprocess.run([*flags, "-o", root / "odd", SOURCE / "odd.c"], check=True)
    subprocess.run(
        [*flags, "-shared", "-fPIC", "-o", root / "preloaded.so", SOURCE / "preloaded.c"], check=True
    )
    needed = subprocess.run(["ldd", root / "odd"], check=True, capture_output=True, text=True).stdout
    for library in re.findall(r"(/\S+) \(0x", needed):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    shutil.copy(SOURCE / "Dockerfile", folder)
