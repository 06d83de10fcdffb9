"""Code that is no ``model.py``: a program in any language at home, and its image on the cluster."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import yaml
from pydantic import ValidationError

from alcove_api.code_layout import MODEL_FILE
from alcove_api.submission import ImageCode
from alcove_cli.errors import CommandError

SUBMISSION_FILE = "submission.yaml"
_PLACEHOLDER = "0" * 64
"""The digest that the template has."""


def find_program(folder: Path, command: str) -> tuple[str, ...]:
    """The words of a command, the program among them as a full path: in the folder, or else on the PATH.

    Raises:
        CommandError: there is no folder, no such program, or it cannot be executed.
    """
    if not folder.is_dir():
        raise CommandError(f"{folder} is not a folder. Give the folder that holds the program.")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise CommandError(f"--command cannot be read: {error}.") from None
    if not words:
        raise CommandError("--command is empty. Give the program, such as ./learner, and its arguments.")
    inside = folder / words[0]
    found = str(inside.resolve()) if inside.is_file() else shutil.which(words[0])
    if found is None:
        raise CommandError(
            f"There is no program {words[0]}, neither in {folder} nor on the PATH. Nothing was run. Build it first."
        )
    if not os.access(found, os.X_OK):
        raise CommandError(f"{found} cannot be executed. Nothing was run. Make it so: chmod +x {found}")
    return (found, *words[1:])


def read_image_code(folder: Path) -> ImageCode | None:
    """The image that ``submission.yaml`` names, where the folder has that and no ``model.py``.

    Raises:
        CommandError: the file cannot be read, or its image is not pinned, or still that of the template.
    """
    path = folder / SUBMISSION_FILE
    if (folder / MODEL_FILE).is_file() or not path.is_file():
        return None
    try:
        code = yaml.safe_load(path.read_text())["spec"]["code"]
        if "image" not in code:
            return None
        image = ImageCode.model_validate(code["image"])
    except ValidationError as error:
        first = error.errors()[0]
        raise CommandError(
            f"{path}: spec.code.image.{'.'.join(map(str, first['loc']))}: {first['msg']}. Nothing was submitted."
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise CommandError(
            f"{path} is no Submission that can be read ({type(error).__name__}). Nothing was submitted."
        ) from None
    if image.reference.endswith(_PLACEHOLDER):
        raise CommandError(
            f"{path} still names the template's image. Nothing was submitted. Push your image, and put its name with "
            "its digest, NAME@sha256:…, in place of spec.code.image.reference."
        )
    return image
