"""Whether each promise is kept, by what was found. Pure functions: nothing here asks anybody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from run_probe import RunReport, Settings, store_address

KINDS = ("competitions", "datasets", "leaderboards", "submissions", "teamusages")
GROUP, VERSION = "alcove.dev", "v1alpha1"
LABELS = 33
"""One more than the policy on Submissions allows."""


@dataclass(frozen=True)
class PromiseResult:
    promise: str
    state: Literal["PASS", "FAIL", "WARN"]
    detail: str


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
    """The promises about runs, from what ``run_probe.py`` found; None where the pod left nothing."""
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


def rights(team: str, competition: str, other_teams: tuple[str, ...]) -> Iterator[Right]:
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
    for kind in ("datasets", "competitions", "teamusages"):
        yield Right(False, competition, "get", GROUP, kind)
        yield Right(False, competition, "list", GROUP, kind)
    yield Right(False, competition, "patch", GROUP, "leaderboards", subresource="status")
    # It holds the teams' display names, and who may change it may change Submissions that are there.
    yield Right(False, competition, "update", GROUP, "competitions")
    for other in other_teams:
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


def summary(judged: list[PromiseResult]) -> str:
    """One line that says no more than the lines above it."""
    count = {state: sum(verdict.state == state for verdict in judged) for state in ("PASS", "WARN", "FAIL")}
    if count["PASS"] == len(judged):
        return f"All {len(judged)} promises are kept."
    named = (("PASS", "kept"), ("WARN", "not kept or not shown, which is only a warning"), ("FAIL", "broken"))
    said = ", ".join(f"{count[state]} {word}" for state, word in named if count[state])
    return f"Of {len(judged)} promises: {said}."
