"""The kinds of objects that Alcove asks the API server for, and their paths."""

from __future__ import annotations

from dataclasses import dataclass

from alcove_api.base import API_VERSION


@dataclass(frozen=True)
class Resource:
    """One kind of object."""

    api_version: str
    plural: str

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """Path of one object, or of all in a namespace; no namespace for kinds that are in none."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        parts = [root, *(["namespaces", namespace] if namespace else []), self.plural, name, subresource]
        return "/".join(part for part in parts if part)


SUBMISSIONS = Resource(API_VERSION, "submissions")
COMPETITIONS = Resource(API_VERSION, "competitions")
DATASETS = Resource(API_VERSION, "datasets")
LEADERBOARDS = Resource(API_VERSION, "leaderboards")
TEAM_USAGES = Resource(API_VERSION, "teamusages")
JOBS = Resource("batch/v1", "jobs")
PODS = Resource("v1", "pods")
SECRETS = Resource("v1", "secrets")
CONFIG_MAPS = Resource("v1", "configmaps")
SERVICE_ACCOUNTS = Resource("v1", "serviceaccounts")
DEPLOYMENTS = Resource("apps/v1", "deployments")
NODES = Resource("v1", "nodes")
NAMESPACES = Resource("v1", "namespaces")
EVENTS = Resource("events.k8s.io/v1", "events")
LEASES = Resource("coordination.k8s.io/v1", "leases")
NETWORK_POLICIES = Resource("networking.k8s.io/v1", "networkpolicies")
LOCAL_QUEUES = Resource("kueue.x-k8s.io/v1beta2", "localqueues")
"""Of Kueue, from 0.15 on."""
SELF_REVIEWS = Resource("authentication.k8s.io/v1", "selfsubjectreviews")
