"""``alcove init``: a folder to start from, made of one of the examples."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from alcove_cli.checkout import find_checkout_path
from alcove_cli.errors import CommandError

Template = Literal["numpy", "sklearn", "tensorflow", "torch", "any"]
"""Folders of ``examples/submissions``. ``any``: a program in any language, as an image of its own."""


def make_submission(folder: Path, template: Template) -> list[Path]:
    """Copies an example under a name of its own, that of the folder; returns the files.

    Raises:
        CommandError: the folder is there already, or its name cannot be that of a Submission.
        FaultError: the examples are not installed.
        OSError: it cannot be written.
    """
    name = folder.resolve().name
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,46}[a-z0-9])?", name):
        raise CommandError(
            f"{name!r} cannot be the name of a Submission: use small letters, digits and hyphens, at most 48."
        )
    if folder.exists():
        raise CommandError(f"{folder} is there already, and nothing is overwritten. Choose another name.")
    example = find_checkout_path("examples", "submissions", template)
    shutil.copytree(example, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in folder.glob("*.yaml"):
        path.write_text(rename_example(path.read_text(), template, name, folder.as_posix()))
    return sorted(folder.iterdir())


def describe_next_steps(folder: Path, template: Template) -> Iterator[str]:
    """Which commands to type next."""
    yield "\nTry it:"
    yield "  alcove dataset make digits out/digits"
    if template != "any":
        yield f"  alcove run {folder} out/digits --budget 20"
        yield f"Submit it:\n  alcove submit {folder} --watch"
        return
    yield f"  (cd {folder} && CGO_ENABLED=0 go build -o learner .)"
    yield f"  alcove run {folder} out/digits --budget 20 --command ./learner"
    yield f"Submit it, once its image is pushed and {folder}/submission.yaml has the digest:"
    yield f"  alcove submit {folder} --watch"


def rename_example(text: str, template: str, name: str, folder: str) -> str:
    """The YAML of an example with another name in place of the example's, and another folder."""
    named = re.sub(rf"(name: ){template}\b", rf"\g<1>{name}", text)
    return named.replace(f"examples/submissions/{template}", folder)
