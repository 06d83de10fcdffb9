"""The code of a Submission as an archive: made of a ConfigMap, and looked through before a run unpacks it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import BinaryIO

from alcove_api.code_layout import KIT_FOLDER, MODEL_FILE, explain_missing_model
from alcove_api.run_documents import RunConfig
from alcove_operator.errors import CodeError
from alcove_store.errors import BundleError, BundleTooLargeError
from alcove_store.pack import pack_files
from alcove_store.unpack import file_names

UNPACKED_LIMIT: int = RunConfig.model_fields["code_bytes_limit"].default
"""What `stage` will unpack at most."""


def config_map_archive(data: Mapping[str, str], binary_data: Mapping[str, str]) -> bytes:
    """A .tar.gz of a ConfigMap's keys: the same bytes for the same content, whenever and wherever it is made.

    Args:
        data: file name to text.
        binary_data: file name to base64.
    """
    files = {name: text.encode() for name, text in data.items()}
    files |= {name: base64.b64decode(text) for name, text in binary_data.items()}
    return pack_files(files)


def check_archive(archive: BinaryIO, unpacked_limit: int) -> None:
    """Looks through a bundle as ``stage`` will, in little memory and without unpacking it.

    Raises:
        CodeError: what ``stage`` would refuse to unpack (no .tar.gz, more than ``unpacked_limit`` bytes unpacked, a
            link, a path that leads out), or no model.py at its top.
    """
    try:
        names = file_names(archive, limit=unpacked_limit)
    except BundleError as error:
        raise CodeError(
            "BundleTooLarge" if isinstance(error, BundleTooLargeError) else "BundleUnreadable",
            error.cause,
            remedy=f"{error.remedy} Submit it under another name.",
        ) from error
    if not {MODEL_FILE, f"{KIT_FOLDER}/{MODEL_FILE}"}.intersection(names):
        raise CodeError(
            "NoModel",
            "There is no model.py at the top of the submitted code.",
            remedy=f"{explain_missing_model(names)} Submit it under another name.",
        )
