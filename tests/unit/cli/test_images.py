"""`alcove images`: what the lock files say."""

from __future__ import annotations

import re

from tests.unit.cli.conftest import Typed
from tests.unit.docs.pages import REPOSITORY


def test_each_image_is_told_with_its_python_and_packages(alcove: Typed) -> None:
    done = alcove("images")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^(\S+): Python (\S+)$", done.stdout, re.M) == [
        ("ingestion", "3.11"),
        ("ingestion-numpy", "3.11"),
        ("ingestion-gpu", "3.11"),
        ("ingestion-torch", "3.11"),
        ("ingestion-torch-gpu", "3.11"),
        ("ingestion-tf1", "3.11"),
    ]
    lock = (REPOSITORY / "locks" / "ingestion.txt").read_text()
    for name in ("scikit-learn", "tensorflow-cpu", "pillow"):
        version = re.findall(rf"^{name}==(\S+)", lock, re.M)[0]
        assert f"{name} {version}" in done.stdout
    numpy = re.findall(r"^numpy==(\S+) ; python_full_version < '3.12'", lock, re.M)[0]
    assert f"  numpy {numpy}," in done.stdout, "the version for the image's Python"
    assert "absl-py" not in done.stdout
    assert "absl-py" in alcove("images", "--all").stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
