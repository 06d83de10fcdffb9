"""``alcove images``: what the images hold in which the code of participants runs.

It is read from the lock files that they are built from, so it needs no cluster.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill

from packaging.requirements import Requirement

from alcove_cli.checkout import find_checkout_path


def describe_images(everything: bool = False) -> Iterator[str]:
    """Lines on each image: its name, its Python, and its packages with their versions.

    Args:
        everything: name the packages that others need, too.

    Raises:
        FaultError: Alcove is not installed from a checkout, so there are no lock files.
    """
    variants = json.loads(find_checkout_path("images", "ingestion", "variants.json").read_text())
    dockerfile = find_checkout_path("images", "ingestion", "Dockerfile").read_text()
    # With a registry before the name and a digest behind the tag.
    python = re.findall(r"^ARG BASE=\S*\bpython:(\d+\.\d+)", dockerfile, re.MULTILINE)[0]
    for image, arguments in variants.items():
        if isinstance(arguments, dict):
            packages = _locked(find_checkout_path("locks", f"{arguments['LOCK']}.txt"), python)
            yield f"{image}: Python {python}"
            names = sorted(packages) if everything else [n for n in _OFTEN_IMPORTED if n in packages]
            told = ", ".join(f"{name}{_NO_BREAK}{packages[name]}" for name in names)
            width = shutil.get_terminal_size().columns
            lines = fill(told, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
            yield lines.replace(_NO_BREAK, " ")


_NO_BREAK = "\u00a0"
"""A space at which no line is broken."""
_OFTEN_IMPORTED = (
    "numpy", "scipy", "scikit-learn", "pillow", "tensorflow", "tensorflow-cpu", "keras", "h5py", "joblib", "torch",
    "torchvision", "pandas", "lightgbm", "hyperopt", "librosa", "opencv-python-headless", "jieba", "matplotlib",
)  # fmt: skip


def _locked(lock: Path, python: str) -> dict[str, str]:
    """Version by package, for Linux and this Python."""
    found = {}
    for line in lock.read_text().splitlines():
        if line[:1].isalnum():
            package = Requirement(line.rstrip("\\ "))
            environment = {
                "python_full_version": f"{python}.0",
                "python_version": python,
                "sys_platform": "linux",
            }
            if package.marker is None or package.marker.evaluate(environment):
                found[package.name] = str(package.specifier).removeprefix("==")
    return found
