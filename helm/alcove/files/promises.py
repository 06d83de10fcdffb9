"""What `helm test` runs: it checks each promise of the installation on this cluster.

``promises.py run``: in a pod with the labels and the account of a run; finds out what a run could reach, and leaves it
as its termination message. It always exits 0, since what was found is judged by:
``promises.py check``: one line a promise; exits 1 if one is broken.

Settings come as JSON in ``ALCOVE_TEST``; see the chart's templates/tests/promises.yaml.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

Settings = dict[str, Any]
RESOLV_CONF = Path("/etc/resolv.conf")
TERMINATION = Path("/dev/termination-log")
TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
KINDS = ("competitions", "datasets", "leaderboards", "submissions")
GROUP, VERSION = "alcove.dev", "v1alpha1"
CONNECT_SECONDS = 2.0
LABELS = 33
"""One more than the policy on Submissions allows."""


@dataclass(frozen=True)
class PromiseResult:
    promise: str
    state: Literal["PASS", "FAIL", "WARN"]
    detail: str


def reachable(host: str, port: int) -> bool:
    """Whether a TCP connection can be made."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether ``condition`` comes true in time; network plugins take a moment to know a new pod."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.5)
    return True


def store_address(endpoint: str) -> tuple[str, int]:
    parts = urlsplit(endpoint)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def api_address() -> tuple[str, int]:
    """Every pod is told it, with or without a token."""
    return os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])


def is_address(host: str) -> bool:
    """Whether a host is an IP address, so that nobody need be asked for it."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def resolves(host: str) -> bool:
    """Whether the resolvers of this pod know an address for a name."""
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False


def resolvers() -> list[str]:
    """The addresses that this pod asks for names."""
    lines = (line.split() for line in RESOLV_CONF.read_text().splitlines())
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]


@dataclass(frozen=True)
class RunReport:
    """What a run's pod found. ``resolved``: whether the store's name has an address; None where it is one."""

    store: bool
    api: bool
    token: bool
    resolved: bool | None
    resolvers: list[str]


def probe(settings: Settings) -> RunReport:
    """What a run's pod can reach and read."""
    store, api = store_address(settings["endpoint"]), api_address()
    resolved = None if is_address(store[0]) else within(30, lambda: resolves(store[0]))
    return RunReport(
        resolved=resolved,
        resolvers=resolvers(),
        store=resolved is not False and within(30, lambda: reachable(*store)),
        # Three in a row, so that one lost packet is not taken for a policy.
        api=not within(10, lambda: not any(reachable(*api) for _ in range(3))),
        token=TOKEN.exists(),
    )


def judge_names(found: RunReport, settings: Settings) -> Iterator[PromiseResult]:
    """Whether a run's pod could look up the store's name, and whom it asked; nothing where the store has no name."""
    if found.resolved is None:
        return
    name, asked = store_address(settings["endpoint"])[0], " or ".join(found.resolvers) or "nobody"
    if found.resolved:
        yield PromiseResult("names for runs", "PASS", f"a run asked {asked} and got an address of {name}")
        return
    remedy = (
        "`kubectl get networkpolicy alcove-store-and-dns alcove-resolvers -o yaml` shows who may be asked. "
        "`helm upgrade` looks for the resolvers again; name those that it cannot find in networkPolicy.dns."
        if settings["networkPolicy"]
        else "networkPolicy.enabled is false, so no policy of this release forbids it."
    )
    detail = f"A run asked {asked}, which its /etc/resolv.conf names, and got no address of {name}. {remedy}"
    yield PromiseResult("names for runs", "FAIL", detail)


def judge_network(found: RunReport, settings: Settings) -> PromiseResult:
    """Whether policies keep a run's pod from the API server."""
    promise = "network of runs"
    if found.api:
        reason = (
            "NOT enforced: a run's pod reached the API server. "
            + (
                "This cluster's network plugin ignores NetworkPolicy (Calico and Cilium do not). "
                if settings["networkPolicy"]
                else "networkPolicy.enabled is false. "
            )
            + "Only the seccomp filter keeps participants' code from the network."
        )
        return PromiseResult(promise, "FAIL" if settings["networkPolicyRequired"] else "WARN", reason)
    if not found.store:
        detail = "A run reached neither the store nor the API server, so this does not show that policies are enforced."
        return PromiseResult(promise, "WARN", detail)
    if not settings["networkPolicy"]:
        detail = "A run did not reach the API server, but not through this release: networkPolicy.enabled is false."
        return PromiseResult(promise, "WARN", detail)
    return PromiseResult(promise, "PASS", "enforced: a run reached the store, and not the API server")


def judge_run(found: RunReport | None, settings: Settings) -> Iterator[PromiseResult]:
    """The promises about runs, from what :func:`probe` found; None where the pod left nothing."""
    if found is None:
        yield PromiseResult(
            "runs", "FAIL", "The probing pod left no report. See `kubectl logs alcove-test-run`."
        )
        return
    yield from judge_names(found, settings)
    if found.store:
        yield PromiseResult("store for runs", "PASS", "a run reached the store")
    else:
        yield PromiseResult(
            "store for runs",
            "FAIL",
            "A run did not reach the store, so no run could stage its data. Check that the store is up, that its name "
            "can be looked up, and that store.external.cidrs has its network where it is outside of the cluster.",
        )
    if found.token:
        yield PromiseResult("no token in runs", "FAIL", "A run's pod has a token of the API server mounted.")
    else:
        yield PromiseResult("no token in runs", "PASS", "a run's pod has no token of the API server")
    yield judge_network(found, settings)


def judge_kinds(served: set[str]) -> PromiseResult:
    missing = [kind for kind in KINDS if kind not in served]
    if missing:
        detail = f"{', '.join(missing)} of {GROUP}/{VERSION} not served: kubectl apply -f helm/alcove/crds"
        return PromiseResult("custom resources", "FAIL", detail)
    return PromiseResult("custom resources", "PASS", f"{', '.join(KINDS)} are served")


@dataclass(frozen=True)
class Right:
    """One question to the API server: may this team do that?"""

    allowed: bool
    namespace: str
    verb: str
    group: str
    resource: str
    name: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        what = "/".join(part for part in (self.resource, self.subresource) if part)
        return f"{self.verb} {what}{f' {self.name}' if self.name else ''} in {self.namespace}"


def rights(team: str, competition: str, others: tuple[str, ...]) -> Iterator[Right]:
    """What a team may and may not do; namespaces all."""
    for verb in ("create", "get", "list", "watch", "delete"):
        yield Right(True, team, verb, GROUP, "submissions")
    yield Right(True, team, "create", "", "configmaps")
    yield Right(True, team, "get", "", "secrets", "alcove-store")
    yield Right(True, competition, "get", GROUP, "leaderboards")
    for verb in ("patch", "update"):
        yield Right(False, team, verb, GROUP, "submissions", subresource="status")
    for verb in ("create", "get", "list", "delete"):
        yield Right(False, team, verb, "", "pods")
        yield Right(False, competition, verb, "", "pods")
    for namespace in (team, competition):
        yield Right(False, namespace, "create", "", "pods", subresource="exec")
        yield Right(False, namespace, "get", "", "pods", subresource="log")
        yield Right(False, namespace, "create", "batch", "jobs")
        yield Right(False, namespace, "list", "", "secrets")
        yield Right(False, namespace, "create", "rbac.authorization.k8s.io", "rolebindings")
    yield Right(False, competition, "get", "", "secrets", "alcove-store-scorer")
    for kind in ("datasets", "competitions"):
        yield Right(False, competition, "get", GROUP, kind)
        yield Right(False, competition, "list", GROUP, kind)
    yield Right(False, competition, "patch", GROUP, "leaderboards", subresource="status")
    # It holds the teams' display names, and who may change it may change Submissions that are there.
    yield Right(False, competition, "update", GROUP, "competitions")
    for other in others:
        for verb in ("create", "get", "list", "patch"):
            yield Right(False, other, verb, GROUP, "submissions")
        yield Right(False, other, "get", "", "configmaps")
        yield Right(False, other, "get", "", "secrets", "alcove-store")


def judge_rights(team: str, asked: list[tuple[Right, bool]]) -> PromiseResult:
    wrong = [(right, answer) for right, answer in asked if right.allowed != answer]
    if not wrong:
        return PromiseResult(
            f"rights of {team}", "PASS", f"{len(asked)} questions answered as they should be"
        )
    said = "; ".join(f"{'may' if answer else 'may not'} {right}" for right, answer in wrong[:6])
    remedy = "Look for bindings of system:authenticated or system:serviceaccounts that give more than the chart does."
    return PromiseResult(f"rights of {team}", "FAIL", f"The team {said}. {remedy}")


def judge_policy(team: str, policy: str, answer: str) -> PromiseResult:
    """Whether the policy on Submissions is in force in a team's namespace.

    Args:
        policy: its name; "" where this API server does not know the kind.
        answer: of the API server to a Submission that the policy refuses; "" where it took it.
    """
    promise = f"Submissions of {team}"
    if not policy:
        detail = (
            "This API server knows no ValidatingAdmissionPolicy, so a team may give a Submission labels, finalizers "
            "and managed fields without bound. Kubernetes 1.30 and later know it."
        )
        return PromiseResult(promise, "WARN", detail)
    if policy in answer:
        return PromiseResult(promise, "PASS", f"one with {LABELS} labels is refused, as the policy says")
    said = f"The API server said: {answer}" if answer else f"The API server takes one with {LABELS} labels."
    kinds = "validatingadmissionpolicies,validatingadmissionpolicybindings"
    remedy = f"`helm upgrade` puts back what is missing of it: kubectl get {kinds} {policy}"
    return PromiseResult(
        promise, "FAIL", f"The policy {policy} does not refuse what it should. {said} {remedy}"
    )


class Cluster:
    """What the checks ask the API server, with the test's own account."""

    def __init__(self, settings: Settings) -> None:
        from alcove_kube.client import KubeClient

        self._kube = KubeClient.from_pod()
        self._namespace = settings["namespace"]

    def kinds(self) -> set[str]:
        from alcove_kube.errors import ApiError

        try:
            listing = self._kube.request("GET", f"/apis/{GROUP}/{VERSION}")
        except ApiError as error:
            if error.not_found:
                return set()
            raise
        return {resource["name"] for resource in listing["resources"]}

    def operator(self) -> PromiseResult:
        from alcove_kube.resources import DEPLOYMENTS

        found = self._kube.get(DEPLOYMENTS, self._namespace, "alcove-operator")
        conditions = {c["type"]: c for c in found.get("status", {}).get("conditions") or ()}
        available = conditions.get("Available")
        if available and available["status"] == "True":
            return PromiseResult("operator", "PASS", "available")
        why = available["message"] if available else "no pod of it was ever ready"
        return PromiseResult(
            "operator",
            "FAIL",
            f"Not available ({why}): kubectl logs -n {self._namespace} deploy/alcove-operator",
        )

    def run_report(self) -> RunReport | None:
        from alcove_kube.resources import PODS

        pod = self._kube.get(PODS, self._namespace, "alcove-test-run")
        for status in pod.get("status", {}).get("containerStatuses") or ():
            message = (status["state"].get("terminated") or {}).get("message")
            if message:
                return RunReport(**json.loads(message))
        return None

    def try_submission(self, team: str) -> str:
        """What the API server says to a Submission that the policy refuses; "" where it would take it."""
        from alcove_kube.errors import ApiError
        from alcove_kube.resources import SUBMISSIONS

        labels = {f"label-{i}": "" for i in range(LABELS)}
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "Submission",
            "metadata": {"name": "alcove-test", "namespace": team, "labels": labels},
            "spec": {
                "competition": {"namespace": self._namespace, "name": "alcove-test"},
                "phase": "alcove-test",
                "code": {"bundle": {"sha256": "0" * 64}},
            },
        }
        try:
            self._kube.create(SUBMISSIONS, team, body, dry_run=True)
        except ApiError as error:
            return error.message or str(error)
        return ""

    def may(self, team: str, right: Right) -> bool:
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "LocalSubjectAccessReview",
            "metadata": {"namespace": right.namespace},
            "spec": {
                "user": f"system:serviceaccount:{team}:participant",
                "groups": [
                    "system:serviceaccounts",
                    f"system:serviceaccounts:{team}",
                    "system:authenticated",
                ],
                "resourceAttributes": {
                    "namespace": right.namespace,
                    "verb": right.verb,
                    "group": right.group,
                    "version": "*",
                    "resource": right.resource,
                    "subresource": right.subresource,
                    "name": right.name,
                },
            },
        }
        path = f"/apis/authorization.k8s.io/v1/namespaces/{right.namespace}/localsubjectaccessreviews"
        return bool(self._kube.request("POST", path, body)["status"]["allowed"])


def store_health(settings: Settings) -> PromiseResult:
    host, port = store_address(settings["endpoint"])
    if within(30, lambda: reachable(host, port)):
        return PromiseResult("store", "PASS", f"{settings['endpoint']} answers")
    return PromiseResult(
        "store", "FAIL", f"{settings['endpoint']} does not answer from a pod of this namespace."
    )


def solutions(settings: Settings, folder: Path) -> Iterator[PromiseResult]:
    """That users who need not read solutions cannot. ``folder`` holds ``<user>.json`` for some of them."""
    from minio import Minio
    from minio.error import S3Error
    from urllib3.exceptions import HTTPError

    parts, bucket = urlsplit(settings["endpoint"]), settings["solutionsBucket"]
    for path in sorted(folder.glob("*.json")):
        promise = f"solutions hidden from {path.stem}"
        user = json.loads(path.read_text())
        store = Minio(
            parts.netloc,
            access_key=user["access_key"],
            secret_key=user["secret_key"],
            secure=parts.scheme == "https",
            region=settings["region"],
        )
        answers = set()
        for ask in (
            lambda s=store: list(s.list_objects(bucket)),
            lambda s=store: s.get_object(bucket, f"solutions/{'0' * 64}").release_conn(),
        ):
            try:
                ask()
                answers.add("yes")
            except S3Error as error:
                answers.add(error.code)
            except (HTTPError, OSError) as error:
                answers.add(f"nothing ({error})")
        if answers == {"AccessDenied"}:
            yield PromiseResult(promise, "PASS", "access denied, as it should be")
        else:
            said = ", ".join(sorted(answers))
            remedy = "Run `helm upgrade`: it sets up users and policies again."
            yield PromiseResult(
                promise, "FAIL", f"Asked for them with its keys, the store answered {said}. {remedy}"
            )


def verdicts(settings: Settings) -> Iterator[PromiseResult]:
    cluster = Cluster(settings)
    yield judge_kinds(cluster.kinds())
    yield cluster.operator()
    yield store_health(settings)
    yield from solutions(settings, Path(os.environ.get("ALCOVE_TEST_USERS", "/alcove/users")))
    yield from judge_run(cluster.run_report(), settings)
    teams = tuple(settings["teams"])
    for team in teams:
        others = tuple(other for other in teams if other != team)
        asked = [(right, cluster.may(team, right)) for right in rights(team, settings["namespace"], others)]
        yield judge_rights(team, asked)
        yield judge_policy(team, settings["submissionPolicy"], cluster.try_submission(team))


def summary(judged: list[PromiseResult]) -> str:
    """One line that says no more than the lines above it."""
    count = {state: sum(verdict.state == state for verdict in judged) for state in ("PASS", "WARN", "FAIL")}
    if count["PASS"] == len(judged):
        return f"All {len(judged)} promises are kept."
    named = (("PASS", "kept"), ("WARN", "not kept or not shown, which is only a warning"), ("FAIL", "broken"))
    said = ", ".join(f"{count[state]} {word}" for state, word in named if count[state])
    return f"Of {len(judged)} promises: {said}."


def main(task: str) -> int:
    settings: Settings = json.loads(os.environ["ALCOVE_TEST"])
    if task == "run":
        text = json.dumps(asdict(probe(settings)))
        print(text)
        Path(os.environ.get("ALCOVE_TERMINATION_LOG", TERMINATION)).write_text(text)
        return 0
    judged = []
    for verdict in verdicts(settings):
        print(f"{verdict.state}  {verdict.promise}: {verdict.detail}", flush=True)
        judged.append(verdict)
    print(summary(judged))
    return 1 if any(verdict.state == "FAIL" for verdict in judged) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
