"""``alcove team kubeconfig``: the one file that a team needs, made by the organizer."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

from alcove_api.base import GROUP
from alcove_cli.errors import CommandError, FailedError, choose_failure
from alcove_kube.client import KubeClient, Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import NAMESPACES, SERVICE_ACCOUNTS, SUBMISSIONS

ACCOUNT = "participant"
"""Of the chart's, in each team's namespace; bound to the team's Role."""
TEAM, COMPETITION = f"{GROUP}/team", f"{GROUP}/competition"


@dataclass(frozen=True)
class TeamToken:
    token: str
    expires_at: datetime


def choose_team(team: str | None, kubeconfig: str | None) -> str:
    """``team``, or else the namespace of the kubeconfig's context. Raises CommandError where neither is given."""
    found = team or KubeClient.read_namespace(kubeconfig)
    if not found:
        raise CommandError(
            "The kubeconfig's context names no namespace, so it does not say which team you are. Give --team NAMESPACE."
        )
    return found


def make_team_kubeconfig(
    kube: KubeClient, name: str, out: Path | None, days: int, server: str | None
) -> tuple[Path, str, datetime]:
    """Writes a team's kubeconfig and tries it once.

    Args:
        name: of the team in the release's values, or its namespace.
        out: file to write; by default NAMESPACE.kubeconfig in the working directory.
        days: for which the token is asked; the API server may give fewer.
        server: address of the API server for the team, in place of the organizer's own.

    Returns:
        The file, the team's namespace, and when the token ends.

    Raises:
        CommandError: no such team, or the file cannot be written.
        FailedError: the team has no account, or the file does not work.
    """
    namespace = find_team_namespace(kube, name)
    path = out or Path(f"{namespace}.kubeconfig")
    made = request_token(kube, namespace, days)
    document = build_kubeconfig(kube, namespace, made.token, server)
    write_private(path, yaml.safe_dump(document, sort_keys=False))
    check_rights(path, namespace)
    return path, namespace, made.expires_at


def find_team_namespace(kube: KubeClient, name: str) -> str:
    """Raises CommandError where there is no such team, or more than one."""
    labelled = kube.find_all(NAMESPACES, None, f"{TEAM}={name}")
    found = sorted(namespace["metadata"]["name"] for namespace in labelled)
    if len(found) > 1:
        raise CommandError(f"Several teams are called {name}. Give the namespace: {', '.join(found)}.")
    if found:
        return str(found[0])
    namespace = kube.find(NAMESPACES, None, name)
    if namespace is None or COMPETITION not in (namespace["metadata"].get("labels") or {}):
        raise CommandError(
            f"There is no team {name}, neither by its name nor by its namespace. Add it to `teams` in the release's "
            f"values and run helm upgrade. To see the teams: kubectl get namespaces -L {TEAM},{COMPETITION}"
        )
    return name


def request_token(kube: KubeClient, namespace: str, days: int) -> TeamToken:
    """Raises FailedError where the team's account is missing."""
    body: Object = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {"name": ACCOUNT},
        "spec": {"expirationSeconds": days * 86400},
    }
    try:
        status = kube.create(SERVICE_ACCOUNTS, namespace, body, "token")["status"]
    except ApiError as error:
        if not error.not_found:
            raise
        raise FailedError(
            f"There is no service account {ACCOUNT} in {namespace}, so there is nobody to make a kubeconfig for. "
            "The chart makes it for each of its teams: run helm upgrade."
        ) from error
    return TeamToken(status["token"], datetime.fromisoformat(status["expirationTimestamp"]))


def build_kubeconfig(kube: KubeClient, namespace: str, token: str, server: str | None = None) -> Object:
    """The team's namespace is that of the context, so that kubectl needs no ``-n``."""
    settings = kube.connection.configuration
    cluster: Object = {"server": server or settings.host}
    if settings.ssl_ca_cert:
        authority = Path(settings.ssl_ca_cert).read_bytes()
        cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
    if not settings.verify_ssl:
        cluster["insecure-skip-tls-verify"] = True
    if settings.tls_server_name:
        cluster["tls-server-name"] = settings.tls_server_name
    context = {"cluster": "alcove", "user": namespace, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": namespace,
        "clusters": [{"name": "alcove", "cluster": cluster}],
        "users": [{"name": namespace, "user": {"token": token}}],
        "contexts": [{"name": namespace, "context": context}],
    }


def write_private(path: Path, text: str) -> None:
    """A new file that its owner alone can read. Raises CommandError where there is one already."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CommandError(f"{path} exists already. Delete it, or choose another file with --out.") from None
    except OSError as error:
        raise CommandError(
            f"{path} cannot be written: {error.strerror}. Choose another file with --out."
        ) from None
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def check_rights(path: Path, namespace: str) -> None:
    """Uses the file once, as the team will."""
    try:
        KubeClient.from_kubeconfig(str(path)).find_all(SUBMISSIONS, namespace)
    except ApiError as error:
        raise choose_failure(error)(
            f"{path} is written, but a first try with it failed. {error}",
            remedy="If you gave --server, check it; else run helm upgrade, which binds the team's account to its Role.",
        ) from error
