"""Requests that a team makes with its own account and its own credentials of the store. Each returns what was wrong."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from minio.error import S3Error

from alcove_api import keys
from alcove_api.base import API_VERSION
from alcove_cli.conformance.catalogue import Outcome
from alcove_cli.conformance.place import HiddenDataset, Place
from alcove_kube.client import KubeClient, Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import (
    COMPETITIONS,
    CONFIG_MAPS,
    DATASETS,
    JOBS,
    LEADERBOARDS,
    PODS,
    SECRETS,
    SUBMISSIONS,
    Resource,
)

Try = Callable[[Place, HiddenDataset], str | None]
_FORBIDDEN, _INVALID = 403, 422
_POLICIES = Resource("admissionregistration.k8s.io/v1", "validatingadmissionpolicies")
_ROLE_BINDINGS = Resource("rbac.authorization.k8s.io/v1", "rolebindings")
_TOKENS = Resource("v1", "serviceaccounts")


@dataclass(frozen=True)
class Intrusion:
    id: str
    promise: str
    attack: str
    outcome: Outcome
    act: Try
    pays: Literal["nobody"] = "nobody"
    needs: Resource | None = None
    """What the API server must serve for it to be refused."""

    @property
    def kind(self) -> str:
        return self.id.partition("/")[0]


Request = Callable[[Place], tuple[str, str, Any]]
"""Verb, path and body of a request, at a place."""


def _ask(kube: KubeClient, verb: str, path: str, body: Any) -> tuple[int, str]:
    """HTTP status and words of the answer; nothing is kept of what would be made."""
    query = [] if verb == "GET" else [("dryRun", "All")]
    try:
        kube.request(verb, path, body, query=query)  # type: ignore[arg-type]
    except ApiError as error:
        return error.status, error.message
    return 200, ""


def _expect(request: Request, statuses: tuple[int, ...], place: Place, _: HiddenDataset) -> str | None:
    status, words = _ask(place.attacker.kube, *request(place))
    return None if status in statuses else f"the API server answered {status} {words}".strip()


def _api(name: str, attack: str, request: Request) -> Intrusion:
    return Intrusion(f"rights/{name}", "teams", attack, "refused", partial(_expect, request, (_FORBIDDEN,)))


def _allowed(name: str, attack: str, request: Request) -> Intrusion:
    return Intrusion(f"rights/{name}", "teams", attack, "harmless", partial(_expect, request, (200, 201)))


def _get(resource: Resource, where: str, name: str = "", part: str = "") -> Request:
    """``where``: own, other or competition."""

    def request(place: Place) -> tuple[str, str, Any]:
        spaces = {"own": place.attacker.namespace, "other": place.neighbour.namespace}
        return "GET", resource.path(spaces.get(where, place.namespace), name, part), None

    return request


def _post(resource: Resource, where: str, body: Object, name: str = "", part: str = "") -> Request:
    def request(place: Place) -> tuple[str, str, Any]:
        path = _get(resource, where, name, part)(place)[1]
        return "POST", path, body

    return request


def _submission(changes: Callable[[Object], Any]) -> Request:
    """A Submission as a team hands it in, with something changed."""

    def request(place: Place) -> tuple[str, str, Any]:
        code = {"configMap": {"name": "none"}}
        body = place.submission(place.attacker, "intrusion", "attack", code)
        changes(body)
        return "POST", SUBMISSIONS.path(place.attacker.namespace), body

    return request


def _metadata(name: str, attack: str, **metadata: Any) -> Intrusion:
    request = _submission(lambda body: body["metadata"].update(metadata))
    act = partial(_expect, request, (_FORBIDDEN, _INVALID))
    return Intrusion(f"rights/{name}", "objects", attack, "refused", act, needs=_POLICIES)


def _spec(name: str, attack: str, changes: Callable[[Object], Any]) -> Intrusion:
    act = partial(_expect, _submission(changes), (_INVALID,))
    return Intrusion(f"rights/{name}", "objects", attack, "refused", act)


# As Pod Security wants it, so that nothing but the team's rights is in the way.
_RESTRICTED: Object = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
_POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "intrusion"},
    "spec": {"containers": [{"name": "one", "image": "busybox", "securityContext": _RESTRICTED}]},
}
_JOB: Object = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "intrusion"},
    "spec": {"template": {"spec": {**_POD["spec"], "restartPolicy": "Never"}}},
}
_BINDING: Object = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "intrusion"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
}
_TOKEN: Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
API = (
    _allowed(
        "hand-in", "a Submission, as everybody hands one in", _submission(lambda body: body.update(body))
    ),
    _allowed("own-list", "a list of its own Submissions", _get(SUBMISSIONS, "own")),
    _allowed("own-credentials", "its own credentials of the store", _get(SECRETS, "own", "alcove-store")),
    _allowed("own-permits", "its own permits to offer datasets", _get(SECRETS, "own", "alcove-offers")),
    _allowed("leaderboards", "the Leaderboards", _get(LEADERBOARDS, "competition")),
    _api("other-list", "a list of another team's Submissions", _get(SUBMISSIONS, "other")),
    _api("other-code", "another team's ConfigMaps", _get(CONFIG_MAPS, "other")),
    _api("other-credentials", "another team's credentials", _get(SECRETS, "other", "alcove-store")),
    _api(
        "other-permits", "another team's permits to offer datasets", _get(SECRETS, "other", "alcove-offers")
    ),
    _api("everybodys-list", "a list of all Submissions", lambda _: ("GET", SUBMISSIONS.path(None), None)),
    _api("datasets", "the hidden datasets", _get(DATASETS, "competition")),
    _api("competition", "the Competition", _get(COMPETITIONS, "competition")),
    _api("runs", "the pods of runs", _get(PODS, "competition")),
    _api("run-logs", "the log of a run", _get(PODS, "competition", "any", "log")),
    _api(
        "solutions-credentials",
        "the scorer's credentials",
        _get(SECRETS, "competition", "alcove-store-scorer"),
    ),
    _api("secrets", "a list of the competition's Secrets", _get(SECRETS, "competition")),
    _api("pod", "a pod in its own namespace", _post(PODS, "own", _POD)),
    _api("pod-in-competition", "a pod in the competition's namespace", _post(PODS, "competition", _POD)),
    _api("job", "a Job in the competition's namespace", _post(JOBS, "competition", _JOB)),
    _api("exec", "a command in a run's pod", _post(PODS, "competition", {}, "any", "exec")),
    _api("binding", "more rights for itself", _post(_ROLE_BINDINGS, "own", _BINDING)),
    _api(
        "operator-token",
        "a token of the operator's account",
        _post(_TOKENS, "competition", _TOKEN, "alcove-operator", "token"),
    ),
    _api(
        "own-status",
        "a score in the status of its own Submission",
        lambda place: (
            "PUT",
            SUBMISSIONS.path(place.attacker.namespace, "any", "status"),
            place.submission(place.attacker, "any", "attack", {}),
        ),
    ),
    _api(
        "board-status",
        "a rank in a Leaderboard",
        lambda place: (
            "PUT",
            LEADERBOARDS.path(place.namespace, "attack", "status"),
            {
                "apiVersion": API_VERSION,
                "kind": "Leaderboard",
                "metadata": {"name": "attack"},
                "status": {},
            },
        ),
    ),
    _api(
        "own-namespace",
        "another competition for its own namespace",
        lambda place: (
            "PUT",
            f"/api/v1/namespaces/{place.attacker.namespace}",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place.attacker.namespace}},
        ),
    ),
)
_OWNER: Object = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "name": "one",
    "uid": "00000000-0000-0000-0000-000000000000",
}


def _change(name: str, attack: str, change: Object) -> Intrusion:
    """Of a Submission that the suite has handed in."""

    def act(place: Place, _: HiddenDataset) -> str | None:
        try:
            place.attacker.kube.patch(SUBMISSIONS, place.attacker.namespace, "stamps", change)
        except ApiError as error:
            return (
                None if error.status in (_FORBIDDEN, _INVALID) else f"the API server answered {error.status}"
            )
        return "the API server did it"

    return Intrusion(f"rights/{name}", "objects", attack, "refused", act)


OBJECTS = (
    _change(
        "change-submission", "another phase for a Submission that is handed in", {"spec": {"phase": "long"}}
    ),
    _change(
        "change-labels", "labels for a Submission that is handed in", {"metadata": {"labels": {"mark": "x"}}}
    ),
    _metadata("labels", "a Submission of 200 labels", labels={f"l{i}": "x" * 60 for i in range(200)}),
    _metadata("annotations", "a Submission of 200 KB of annotations", annotations={"one": "x" * 200_000}),
    _metadata("finalizers", "a Submission that nobody can delete", finalizers=["example.org/mine"]),
    _metadata("owners", "a Submission that goes with another object", ownerReferences=[_OWNER]),
    _spec("no-code", "a Submission without code", lambda body: body["spec"].update(code={})),
    _spec(
        "two-codes",
        "a Submission of two codes, of which the digest of one is checked",
        lambda body: body["spec"]["code"].update(bundle={"sha256": "0" * 64}),
    ),
    _spec(
        "unpinned-image",
        "an image that can change after it is admitted",
        lambda body: body["spec"].update(
            code={"image": {"reference": "busybox:latest", "command": ["true"]}}
        ),
    ),
    _spec(
        "digest-path",
        "a digest that is a path",
        lambda body: body["spec"].update(code={"bundle": {"sha256": "../" * 20}}),
    ),
)


def _denied(what: Callable[[], Any]) -> str | None:
    try:
        what()
    except S3Error as error:
        return None if error.code == "AccessDenied" else f"the store answered {error.code}"
    return "the store did it"


def _store(name: str, attack: str, act: Callable[[Place, HiddenDataset], Any]) -> Intrusion:
    def tried(place: Place, data: HiddenDataset) -> str | None:
        return _denied(lambda: act(place, data))

    return Intrusion(f"data/{name}", "teams", attack, "refused", tried)


def _put(place: Place, key: str, bucket: str = keys.MAIN_BUCKET) -> Any:
    return place.attacker.store.put_object(bucket, key, io.BytesIO(b"x"), 1)


def _read(place: Place, key: str, bucket: str = keys.MAIN_BUCKET) -> Any:
    place.attacker.store.get_object(bucket, key).release_conn()


STORE = (
    _store(
        "own-upload",
        "an upload of its own without a permit",
        lambda place, _: _put(
            place, keys.team_bundle(place.attacker.namespace, "0" * 64), keys.UPLOADS_BUCKET
        ),
    ),
    _store(
        "other-upload",
        "an upload below another team's prefix",
        lambda place, _: _put(
            place, keys.team_bundle(place.neighbour.namespace, "0" * 64), keys.UPLOADS_BUCKET
        ),
    ),
    _store(
        "forged-run", "a record of a run", lambda place, _: _put(place, "runs/any/any/1-any/manifest.json")
    ),
    _store("forged-score", "a score", lambda place, _: _put(place, "scores/any/0000000000000000.json")),
    _store("forged-code", "code under a digest", lambda place, _: _put(place, keys.code("0" * 64))),
    _store(
        "stored-solution",
        "the solution",
        lambda place, data: _read(place, keys.solution(data.solution_sha256), keys.SOLUTIONS_BUCKET),
    ),
    _store(
        "stored-dataset",
        "the hidden dataset",
        lambda place, data: _read(place, keys.dataset_manifest(data.data_sha256)),
    ),
    _store("stored-runs", "what other runs recorded", lambda place, _: _read(place, "runs/any/log.txt")),
    _store(
        "stored-list",
        "a list of the whole store",
        lambda place, _: list(place.attacker.store.list_objects(keys.MAIN_BUCKET, recursive=True)),
    ),
)
INTRUSIONS = (*API, *OBJECTS, *STORE)
