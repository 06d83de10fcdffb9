"""The Python that runs ``model.py`` at home: Alcove's own, or one with the packages of another image.

What PyTorch and TensorFlow 1 need does not go together with Alcove's packages. So each has a virtual environment from
the lock file of its image, made once below the user's cache folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alcove_api.frameworks import IMAGES, Framework
from alcove_cli.checkout import find_checkout_path
from alcove_cli.errors import FailedError, FaultError

PYTHON = "3.11"
"""Of the images; the locks are made for it."""
_OWN = ("ingestion", "ingestion-numpy")
_SOURCES = (("crds",), ("datasets",), ("images", "ingestion"))
_MODULE = "alcove_ingestion"
_START = """
import runpy, sys
sys.path[:0] = {sources!r}
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""
_GIGABYTES = {"ingestion-torch": 6, "ingestion-tf1": 7}


def runner_command(framework: Framework) -> list[str]:
    """What starts the runner, once :func:`prepare_environment` has returned."""
    # -B for our runner, which ignores the environment, and for what it starts.
    if _image(framework) in _OWN:
        return [sys.executable, "-I", "-B", "-m", _MODULE]
    # Alcove is not installed there, so that one environment serves every checkout.
    sources = [str(find_checkout_path(*parts)) for parts in _SOURCES]
    return [
        str(_python(_folder(framework))),
        "-I",
        "-B",
        "-c",
        _START.format(sources=sources, module=_MODULE),
    ]


def prepare_environment(framework: Framework, tell: Callable[[str], None]) -> None:
    """Makes the environment unless it is there. ``tell`` gets a line before what takes long.

    Raises:
        FailedError: Alcove is not installed by `make install`.
        FaultError: the packages cannot be had.
    """
    if _image(framework) in _OWN:
        return
    folder = _folder(framework)
    with _locked(folder.with_suffix(".lock")):
        if _finished(folder).exists():
            return
        variant = _image(framework)
        tell(f"Installing what the image {variant} has, once: {_GIGABYTES[variant]} GB, into {folder}")
        _uv("venv", "--quiet", "--clear", "--python", PYTHON, str(folder))
        _uv("pip", "sync", "--python", str(_python(folder)), str(_lock(framework)))
        _finished(folder).touch()


def _image(framework: Framework) -> str:
    return IMAGES[framework][0]


def _folder(framework: Framework) -> Path:
    digest = hashlib.sha256(_lock(framework).read_bytes()).hexdigest()
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "alcove" / "environments" / f"{_image(framework)}-{digest[:12]}"


def _lock(framework: Framework) -> Path:
    variants = json.loads(find_checkout_path("images", "ingestion", "variants.json").read_text())
    return find_checkout_path("locks", f"{variants[_image(framework)]['LOCK']}.txt")


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _finished(folder: Path) -> Path:
    """There once all packages are: what was interrupted is begun again."""
    return folder / ".complete"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _uv(*arguments: str) -> None:
    if importlib.util.find_spec("uv") is None:
        raise FailedError(
            "uv is not installed, so the environment cannot be made.",
            remedy="Install Alcove with: make install.",
        )
    # Its progress, which it shows on a terminal, and its errors go where ours go.
    done = subprocess.run([sys.executable, "-m", "uv", *arguments], stdout=sys.__stderr__, check=False)
    if done.returncode:
        raise FaultError(
            f"The environment was not made, so nothing was run: `uv {' '.join(arguments[:2])}` failed, see above. It "
            "needs a package index, room on the disk, and Linux on x86-64. Run the same command again."
        )
