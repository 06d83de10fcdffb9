"""``alcove submit``: packs a folder of code and hands it in."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from alcove_api.base import API_VERSION
from alcove_api.code_layout import find_code
from alcove_api.frameworks import Framework
from alcove_api.leaderboard import LeaderboardSpec, PublishedRules
from alcove_api.phase import explain_missing_phase
from alcove_api.phase_dates import format_time
from alcove_api.submission import ImageCode
from alcove_cli.boards import read_boards
from alcove_cli.code_folder import fits_config_map, pack_bundle, read_folder
from alcove_cli.errors import CommandError, FailedError, choose_failure
from alcove_cli.local import read_framework
from alcove_cli.options import parse_competition
from alcove_cli.own_program import read_image_code
from alcove_kube.client import KubeClient, Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import CONFIG_MAPS, SUBMISSIONS


@dataclass(frozen=True)
class Target:
    """Where a submission goes."""

    competition: str
    """``namespace/name``; the name alone where both are the same."""
    phase: str
    team: str
    """The team's namespace."""
    framework: Framework | None = None
    """Loaded before the go; None for what model.py says."""

    def reference(self) -> Object:
        namespace, name = parse_competition(self.competition)
        return {"namespace": namespace, "name": name}


def submit_folder(
    kube: KubeClient, folder: Path, target: Target, name: str | None, endpoint: str | None
) -> Object:
    """Creates the Submission, its code in a ConfigMap where that fits and uploaded as a bundle where not.

    Args:
        name: of the Submission; by default the folder's with a number.
        endpoint: address of the store, in place of the one in the permit.

    Raises:
        CommandError: what was asked cannot be done; nothing is left behind.
        ApiError: the API server refused, or did not answer.
    """
    image = read_image_code(folder)
    if image is not None:
        return _submit_image(kube, folder, target, name, image)
    files = read_folder(folder)
    rules = find_rules(kube, target)
    name = name or next_name(kube, target.team, folder)
    bundle = None if fits_config_map(files) else pack_bundle(files, rules.bundle_bytes)
    code: Object = (
        {"configMap": {"name": name}}
        if bundle is None
        else {"bundle": {"sha256": hashlib.sha256(bundle).hexdigest()}}
    )
    body = _submission(
        target, name, {**code, "framework": target.framework or read_framework(find_code(folder))}
    )
    _check_dry(kube, target, rules, body)
    if bundle is not None:
        return _submit_bundle(kube, target.team, body, bundle, endpoint)
    if kube.find(CONFIG_MAPS, target.team, name) is not None:
        raise _name_taken("ConfigMap", target.team, name)
    created = _create_submission(kube, target.team, body)
    # The Submission comes first, so that the ConfigMap is born with an owner: wherever this process ends, nothing is
    # left that would outlive the Submission. The operator waits a minute for the code.
    with _taken_back_on_error(kube, target.team, created):
        _create_config_map(kube, target.team, name, files, created)
    return created


def _submit_image(
    kube: KubeClient, folder: Path, target: Target, name: str | None, image: ImageCode
) -> Object:
    if target.framework is not None:
        raise CommandError(
            "--framework is for a model.py, and this is an image. Nothing was submitted. Leave it out."
        )
    rules = find_rules(kube, target)
    name = name or next_name(kube, target.team, folder)
    body = _submission(target, name, {"image": image.model_dump(mode="json", by_alias=True)})
    _check_dry(kube, target, rules, body)
    return _create_submission(kube, target.team, body)


def find_rules(kube: KubeClient, target: Target) -> PublishedRules:
    """Of the phase, from its Leaderboard, which teams may read. Raises CommandError where there is no such phase."""
    boards = read_boards(kube, target.competition, "Nothing was submitted.")
    specs = [LeaderboardSpec.model_validate(board["spec"]) for board in boards]
    phases = {spec.phase: spec.rules for spec in specs}
    if target.phase not in phases:
        said = explain_missing_phase(target.competition, target.phase, sorted(phases))
        raise CommandError(f"{said} Nothing was submitted: give one with --phase.")
    return phases[target.phase]


def check_open(target: Target, rules: PublishedRules, now: datetime) -> None:
    """Raises CommandError where the phase takes no submissions at ``now``, the API server's time."""
    if rules.source:
        raise CommandError(
            f"The phase {target.phase} runs what counts in {rules.source}. Nothing was submitted. Submit to that one: "
            f"--phase {rules.source}."
        )
    if rules.opens_at is not None and now < rules.opens_at:
        raise CommandError(
            f"The phase {target.phase} opens at {format_time(rules.opens_at)}. Nothing was submitted. Wait until then."
        )
    if rules.closes_at is not None and now >= rules.closes_at:
        raise CommandError(
            f"The phase {target.phase} has been closed since {format_time(rules.closes_at)}. Nothing was submitted."
        )


def _check_dry(kube: KubeClient, target: Target, rules: PublishedRules, body: Object) -> None:
    """The server checks the Submission, keeps nothing, and tells its own time: a clock that differs here closes no
    phase."""
    try:
        checked = kube.create(SUBMISSIONS, target.team, body, dry_run=True)
    except ApiError as error:
        if error.reason == "AlreadyExists":
            raise _name_taken("Submission", target.team, body["metadata"]["name"]) from error
        raise
    check_open(target, rules, datetime.fromisoformat(checked["metadata"]["creationTimestamp"]))


def _name_taken(kind: str, team: str, name: str) -> CommandError:
    return CommandError(
        f"There is a {kind} {name} in {team} already. Nothing was submitted. Choose another --name, or delete it: "
        f"kubectl delete {kind.lower()} {name} -n {team}"
    )


def next_name(kube: KubeClient, team: str, folder: Path) -> str:
    """``FOLDER-N``, short enough for a table: N is one more than that of the team's last such Submission."""
    stem = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:40] or "submission"
    numbered = re.compile(rf"{re.escape(stem)}-(\d{{1,6}})")
    names = (submission["metadata"]["name"] for submission in kube.find_all(SUBMISSIONS, team))
    number = max((int(found[1]) for name in names if (found := numbered.fullmatch(name))), default=0) + 1
    # The code of one that was deleted may still be there.
    while kube.find(CONFIG_MAPS, team, f"{stem}-{number}") is not None:
        number += 1
    return f"{stem}-{number}"


def _submission(target: Target, name: str, code: Object) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": "Submission",
        "metadata": {"name": name, "namespace": target.team},
        "spec": {
            "competition": target.reference(),
            "phase": target.phase,
            "code": code,
        },
    }


def _create_submission(kube: KubeClient, team: str, body: Object) -> Object:
    try:
        return kube.create(SUBMISSIONS, team, body)
    except ApiError as error:
        # The name was free a moment ago: what is there now is what this request made.
        made = kube.find(SUBMISSIONS, team, body["metadata"]["name"]) if error.done is None else None
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
        raise choose_failure(error)(
            f"The code could not be stored. {error}",
            consequence="Nothing was submitted.",
            remedy="Try again.",
        ) from error


def _submit_bundle(kube: KubeClient, team: str, body: Object, bundle: bytes, endpoint: str | None) -> Object:
    """Creates the Submission, and uploads the bundle by the permit that the operator answers with.

    Where the upload fails, the Submission stays, and waits for another try.
    """
    from alcove_cli.upload import upload_bundle

    created = _create_submission(kube, team, body)
    failed: CommandError | None = None
    # Only who ends the command themselves wants nothing submitted.
    with _taken_back_on_error(kube, team, created):
        try:
            upload_bundle(kube, created, bundle, endpoint)
        except CommandError as error:
            failed = error
    if failed is not None:
        raise failed
    return created
