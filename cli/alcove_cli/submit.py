"""``alcove submit``: packs a folder of code and hands it in."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from alcove_api import keys
from alcove_cli.cluster import Cluster, Object
from alcove_cli.errors import CommandError

# A ConfigMap holds 1 MiB at most, names and base64 included.
CONFIG_MAP_BYTES = 700_000
_IGNORED = {"__pycache__", ".git", ".ipynb_checkpoints", ".DS_Store"}
_MANIFESTS = {"submission.yaml", "kustomization.yaml"}


@dataclass(frozen=True)
class Target:
    competition: str
    """``namespace/name``; the name alone where both are the same."""
    phase: str
    team: str
    framework: str = "tensorflow"

    def reference(self) -> Object:
        namespace, _, name = self.competition.partition("/")
        return {"namespace": namespace, "name": name or namespace}


def read_folder(folder: Path) -> dict[str, bytes]:
    """Files of a submission by relative path, sorted; caches and the manifests beside the code are left out.

    Raises:
        CommandError: no such folder, or no ``model.py`` at its top.
    """
    if not folder.is_dir():
        raise CommandError(f"{folder} is no folder. Give the folder that holds model.py.")
    found = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files = {
        inner.as_posix(): path.read_bytes()
        for inner, path in found.items()
        if not _IGNORED.intersection(inner.parts) and inner.as_posix() not in _MANIFESTS
    }
    if "model.py" not in files:
        raise CommandError(
            f"{folder} has no model.py at its top, so nothing could be run. See docs/participant.md."
        )
    return files


def pack(files: dict[str, bytes]) -> bytes:
    """A ``.tar.gz`` that is the same for the same files, whoever packs it and when."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)


def fits_config_map(files: dict[str, bytes]) -> bool:
    """Whether all lie at the top, under names that are keys of a ConfigMap, and are small enough together."""
    flat = all(re.fullmatch(r"[-._a-zA-Z0-9]+", path) for path in files)
    return flat and sum(map(len, files.values())) <= CONFIG_MAP_BYTES


def submit(cluster: Cluster, folder: Path, target: Target, name: str | None, endpoint: str | None) -> Object:
    """Creates the Submission, its code in a ConfigMap where that fits and uploaded as a bundle where not."""
    files = read_folder(folder)
    name = name or _name(folder)
    if fits_config_map(files):
        cluster.create_config_map(target.team, name, files)
        code: Object = {"configMap": {"name": name}}
    else:
        code = {"bundle": {"sha256": _upload(cluster, target.team, pack(files), endpoint)}}
    code["framework"] = target.framework
    body = {
        "kind": "Submission",
        "metadata": {"name": name, "namespace": target.team},
        "spec": {"competition": target.reference(), "phase": target.phase, "code": code},
    }
    return cluster.create("submissions", target.team, body)


def _name(folder: Path) -> str:
    stem = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:40] or "submission"
    return f"{stem}-{datetime.now(UTC):%m%d-%H%M%S}"


def _upload(cluster: Cluster, team: str, bundle: bytes, endpoint: str | None) -> str:
    """Puts the bundle below the team's own prefix, with the credentials of the team's Secret; returns its digest."""
    from alcove_cli.exchange import TEAM_SECRET, StoreAccess
    from alcove_store.client import put_bytes
    from alcove_store.errors import StoreError

    access = StoreAccess.of_secret(cluster, team, TEAM_SECRET, endpoint)
    digest = hashlib.sha256(bundle).hexdigest()
    try:
        put_bytes(access.client(), access.bucket, keys.team_bundle(team, digest), bundle)
    except StoreError as error:
        raise CommandError(f"The bundle could not be uploaded. {error} Nothing was submitted.") from error
    return digest
