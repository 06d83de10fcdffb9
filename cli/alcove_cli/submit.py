"""``alcove submit``: packs a folder of code and hands it in."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from alcove_api import keys
from alcove_api.base import API_VERSION
from alcove_cli.errors import CommandError, FailedError
from alcove_kube.client import KubeClient, Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import CONFIG_MAPS, SUBMISSIONS
from alcove_store.pack import pack_files

# A ConfigMap holds 1 MiB at most, names and base64 included.
CONFIG_MAP_BYTES = 700_000
_IGNORED = {"__pycache__", ".git", ".ipynb_checkpoints", ".DS_Store"}
_MANIFESTS = {"submission.yaml", "kustomization.yaml"}


@dataclass(frozen=True)
class Target:
    """Where a submission goes."""

    competition: str
    """``namespace/name``; the name alone where both are the same."""
    phase: str
    team: str
    """The team's namespace."""
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
        raise CommandError(f"{folder} is not a folder. Give the folder that holds model.py.")
    found = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files = {
        inner.as_posix(): path.read_bytes()
        for inner, path in found.items()
        if not _IGNORED.intersection(inner.parts) and inner.as_posix() not in _MANIFESTS
    }
    if "model.py" not in files:
        raise CommandError(
            f"{folder} has no model.py at its top, so there is nothing to run. See docs/participant.md."
        )
    return files


def fits_config_map(files: dict[str, bytes]) -> bool:
    """Whether all lie at the top, under names that are keys of a ConfigMap, and are small enough together."""
    flat = all(re.fullmatch(r"[-._a-zA-Z0-9]+", path) for path in files)
    return flat and sum(map(len, files.values())) <= CONFIG_MAP_BYTES


def submit_folder(
    kube: KubeClient, folder: Path, target: Target, name: str | None, endpoint: str | None
) -> Object:
    """Creates the Submission, its code in a ConfigMap where that fits and uploaded as a bundle where not.

    Args:
        name: of the Submission; by default made from the folder's name and the time.
        endpoint: address of the store, in place of the one in the team's Secret.

    Raises:
        CommandError: what was asked cannot be done; nothing is left behind.
        ApiError: the API server refused, or did not answer.
    """
    files = read_folder(folder)
    name = name or _default_name(folder)
    _check_name_is_free(kube, target.team, name)
    if not fits_config_map(files):
        digest = _upload(kube, target.team, pack_files(files), endpoint)
        return _create_submission(kube, target, name, {"bundle": {"sha256": digest}})
    created = _create_submission(kube, target, name, {"configMap": {"name": name}})
    # The Submission comes first, so that the ConfigMap is born with an owner: wherever this process ends, nothing is
    # left that would outlive the Submission. The operator waits a minute for the code.
    with _taken_back_on_error(kube, target.team, created):
        _create_config_map(kube, target.team, name, files, created)
    return created


def _default_name(folder: Path) -> str:
    stem = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:40] or "submission"
    return f"{stem}-{datetime.now(UTC):%m%d-%H%M%S}"


def _check_name_is_free(kube: KubeClient, team: str, name: str) -> None:
    for resource, kind in ((SUBMISSIONS, "Submission"), (CONFIG_MAPS, "ConfigMap")):
        if kube.find(resource, team, name) is not None:
            raise CommandError(
                f"There is a {kind} {name} in {team} already. Nothing was submitted. Choose another --name, or delete "
                f"it: kubectl delete {kind.lower()} {name} -n {team}"
            )


def _create_submission(kube: KubeClient, target: Target, name: str, code: Object) -> Object:
    body = {
        "apiVersion": API_VERSION,
        "kind": "Submission",
        "metadata": {"name": name, "namespace": target.team},
        "spec": {
            "competition": target.reference(),
            "phase": target.phase,
            "code": {**code, "framework": target.framework},
        },
    }
    try:
        return kube.create(SUBMISSIONS, target.team, body)
    except ApiError as error:
        # The name was free a moment ago: what is there now is what this request made.
        made = kube.find(SUBMISSIONS, target.team, name) if error.done is None else None
        if made is None:
            raise
        return made


def _create_config_map(
    kube: KubeClient, team: str, name: str, files: dict[str, bytes], submission: Object
) -> None:
    owner = {
        "apiVersion": API_VERSION,
        "kind": "Submission",
        "name": name,
        "uid": submission["metadata"]["uid"],
    }
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": team, "ownerReferences": [owner]},
        "immutable": True,
        **_config_map_data(files),
    }
    try:
        kube.create(CONFIG_MAPS, team, body)
    except ApiError as error:
        if error.done is not None or kube.find(CONFIG_MAPS, team, name) is None:
            raise


def _config_map_data(files: dict[str, bytes]) -> Object:
    """Text goes to ``data``, so that ``kubectl get -o yaml`` can be read; the rest to ``binaryData``."""
    data, binary = {}, {}
    for path, content in files.items():
        try:
            data[path] = content.decode()
        except UnicodeDecodeError:
            binary[path] = base64.b64encode(content).decode()
    return {"data": data, "binaryData": binary}


@contextlib.contextmanager
def _taken_back_on_error(kube: KubeClient, team: str, submission: Object) -> Iterator[None]:
    """Deletes the Submission if its code cannot be put beside it, whatever the reason: Ctrl-C as well."""
    name, uid = submission["metadata"]["name"], submission["metadata"]["uid"]
    try:
        yield
    except BaseException as error:
        try:
            kube.delete(SUBMISSIONS, team, name, uid)
        except ApiError:
            raise FailedError(
                f"The code of {team}/{name} could not be put beside it: {error}",
                consequence="The Submission has no code, and will be rejected within a minute or two.",
                remedy=f"Submit under another name. To delete it: kubectl delete submission {name} -n {team}",
            ) from error
        if not isinstance(error, ApiError):
            raise
        raise FailedError(
            f"The code could not be stored. {error}",
            consequence="Nothing was submitted.",
            remedy="Try again.",
        ) from error


def _upload(kube: KubeClient, team: str, bundle: bytes, endpoint: str | None) -> str:
    """Puts the bundle below the team's own prefix, with the credentials of the team's Secret; returns its digest."""
    from alcove_cli.exchange import TEAM_SECRET, StoreAccess
    from alcove_store.client import put_bytes
    from alcove_store.errors import StoreError, StoreUnavailableError

    access = StoreAccess.of_secret(kube, team, TEAM_SECRET, endpoint)
    digest = hashlib.sha256(bundle).hexdigest()
    try:
        put_bytes(access.client(), access.bucket, keys.team_bundle(team, digest), bundle)
    except StoreUnavailableError as error:
        source = "--store" if endpoint else f"the Secret {TEAM_SECRET} in {team}"
        raise FailedError(
            f"The store at {access.endpoint} (from {source}) cannot be reached from here, so the bundle was not "
            "uploaded.",
            consequence="Nothing was submitted.",
            remedy="Name an address that can be reached from here: --store http://HOST:PORT. The organizer knows it.",
        ) from error
    except StoreError as error:
        raise CommandError(
            f"The bundle could not be uploaded. {error}", consequence="Nothing was submitted."
        ) from error
    return digest
