"""``alcove dataset push``, ``pull`` and ``list``: datasets in the store of a competition."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer
from pydantic import ValidationError

from alcove_api import keys
from alcove_api.documents import StoreCredentials
from alcove_api.words import count_of
from alcove_cli.errors import CommandError, FaultError
from alcove_cli.options import Kubeconfig, Store
from alcove_store.errors import StoreUnavailableError

if TYPE_CHECKING:
    from minio import Minio

    from alcove_kube.client import KubeClient

TEAM_SECRET, PUBLISHER_SECRET = "alcove-store", "alcove-store-publisher"
_REGION = "us-east-1"
DIGEST_SHOWN = 12
"""Characters of a digest in a table; `pull` takes as many."""


@dataclass(frozen=True)
class StoreAccess:
    """Address of the store, and the credentials to use."""

    endpoint: str
    region: str
    bucket: str
    credentials: StoreCredentials
    source: str
    """Where the address is from, for people."""
    uploads: str = keys.UPLOADS_BUCKET
    """Bucket of what teams offer each other."""

    @classmethod
    def of_secret(cls, kube: KubeClient, namespace: str, name: str, endpoint: str | None) -> StoreAccess:
        """Read it from a Secret that the chart makes; ``endpoint`` replaces the one in it."""
        secret = kube.read_secret(namespace, name)
        source = "--store" if endpoint else f"the Secret {name} in {namespace}"
        where = endpoint or secret.get("endpoint", b"").decode()
        if not where or "credentials.json" not in secret:
            raise CommandError(
                f"secrets/{name} in {namespace} does not say how to reach the store. Give --store http://HOST:PORT."
            )
        return cls(
            where,
            secret.get("region", _REGION.encode()).decode(),
            secret.get("bucket", keys.MAIN_BUCKET.encode()).decode(),
            _credentials(secret["credentials.json"], f"secrets/{name} in {namespace}"),
            source,
            secret.get("uploadsBucket", keys.UPLOADS_BUCKET.encode()).decode(),
        )

    def sign_report(self, team: str, submission_uid: str, hours: int) -> str:
        """Path and query by which the web server of boards shows a report of ``team``; nothing is sent anywhere."""
        key = keys.team_report(team, submission_uid)
        url = self.client().get_presigned_url("GET", self.bucket, key, expires=timedelta(hours=hours))
        return f"/-/reports/{team}/{submission_uid}?{urlsplit(url).query}"

    @contextlib.contextmanager
    def reach(self, consequence: str = "") -> Iterator[Minio]:
        """A client of the store. Raises FaultError with the option that mends it where the store does not answer."""
        try:
            yield self.client()
        except StoreUnavailableError as error:
            raise FaultError(
                f"The store at {self.endpoint} (from {self.source}) cannot be reached from here. {error.cause}",
                consequence=consequence,
                remedy="Give an address that can be, with --store http://HOST:PORT. The organizer knows it. For one in "
                "the cluster: kubectl port-forward -n NAMESPACE service/alcove-store 9000:9000, then "
                "--store http://127.0.0.1:9000",
            ) from error

    def client(self) -> Minio:
        from minio.credentials import StaticProvider

        from alcove_store.client import client

        found = self.credentials
        provider = StaticProvider(found.access_key, found.secret_key, found.session_token)
        return client(self.endpoint, self.region, provider, read_timeout=60.0, retries=5)


def _credentials(data: bytes, where: str) -> StoreCredentials:
    try:
        return StoreCredentials.model_validate_json(data)
    except ValidationError as error:
        raise CommandError(
            f"{where}: not credentials of the store ({error.errors()[0]['msg']}). Copy them from the Secret again."
        ) from None


Team = Annotated[str | None, typer.Option(help="Your team's namespace: use its credentials, and its prefix.")]
Namespace = Annotated[str, typer.Option(help="The competition's namespace, for the organizer's credentials.")]
CredentialsFile = Annotated[
    Path | None, typer.Option(help="Credentials as JSON, instead of the Secret; needs --store.")
]
Region = Annotated[str, typer.Option(help="Region of the store, with --credentials.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def _open_access(
    team: str | None,
    namespace: str,
    store: str | None,
    file: Path | None,
    region: str,
    kubeconfig: str | None,
) -> StoreAccess:
    if file is not None:
        if store is None:
            raise CommandError("With --credentials, give --store http://HOST:PORT as well.")
        try:
            found = _credentials(file.read_bytes(), str(file))
            return StoreAccess(store, region, keys.MAIN_BUCKET, found, "--store")
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
    from alcove_kube.client import KubeClient

    kube = KubeClient.from_kubeconfig(kubeconfig)
    if team is not None:
        return StoreAccess.of_secret(kube, team, TEAM_SECRET, store)
    return StoreAccess.of_secret(kube, namespace, PUBLISHER_SECRET, store)


def push(
    folder: Annotated[Path, typer.Argument(help="NAME.data, or a folder that holds it.")],
    name: Annotated[str, typer.Argument(help="Name of the Dataset to make, or to offer it under.")],
    team: Team = None,
    namespace: Namespace = "hackathon",
    solution: Annotated[
        Path | None, typer.Option(help="The solution; by default NAME.solution beside NAME.data.")
    ] = None,
    alias: Annotated[str | None, typer.Option(help="What participants see; by default the name.")] = None,
    volume_claim: Annotated[
        str | None,
        typer.Option(
            metavar="CLAIM[:FOLDER]",
            help="The files lie on this volume claim, where runs read them: only solution and digests are uploaded.",
        ),
    ] = None,
    store: Store = None,
    credentials: CredentialsFile = None,
    region: Region = _REGION,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Publish a hidden dataset, and print the Dataset to `kubectl apply -f -`; with --team, offer it to all teams.

    Run it again to resume an upload that was interrupted.
    """
    from alcove_cli.dataset import find_solution, require_folder, require_solution
    from alcove_toolkit.exchange import check_name

    check_name(name)
    require_folder(folder)
    if team is None:
        hidden_rows = require_solution(folder, solution)
        access = _open_access(None, namespace, store, credentials, region, kubeconfig)
        _publish_hidden(access, name, folder, hidden_rows, alias, volume_claim)
        return
    if volume_claim or alias or credentials:
        raise CommandError(
            "--volume-claim, --alias and --credentials are for hidden datasets: leave them out with --team. To "
            "offer a dataset, the permits of the team are read from the cluster."
        )
    check_name(team)
    _offer_dataset(team, name, folder, solution or find_solution(folder), store, kubeconfig)


def _publish_hidden(
    access: StoreAccess, name: str, folder: Path, solution: Path, alias: str | None, volume_claim: str | None
) -> None:
    """Puts the files into the store, and prints the Dataset."""
    from alcove_cli.recheck import new_request
    from alcove_toolkit.publish import dataset_yaml, publish

    with access.reach() as store_client:
        data, hidden, manifest = publish(
            folder,
            solution,
            store_client,
            name=name,
            bucket=access.bucket,
            on_volume=volume_claim is not None,
        )
    done = f"{count_of(len(manifest.files), 'file')} of {manifest.name}"
    typer.echo(f"Published {'the digests of ' if volume_claim else ''}{done}.", err=True)
    typer.echo(
        dataset_yaml(name, data, hidden, manifest.domain, alias, volume_claim, new_request()), nl=False
    )


def _offer_dataset(
    team: str, name: str, folder: Path, rows: Path | None, store: str | None, kubeconfig: str | None
) -> None:
    from alcove_cli.offer import offer_dataset
    from alcove_kube.client import KubeClient

    kube = KubeClient.from_kubeconfig(kubeconfig)
    access = StoreAccess.of_secret(kube, team, TEAM_SECRET, store)
    offered = offer_dataset(kube, access, team, name, folder, rows)
    typer.echo(f"Offered {team}/{name}@{offered.sha256} to all teams, {_with(rows)} solution.")


def _with(solution: Path | None) -> str:
    return "without a" if solution is None else "with its"


def pull(
    name: Annotated[
        str, typer.Argument(metavar="[TEAM/]NAME[@DIGEST]", help="What to fetch; by default the newest.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder to write NAME.data to.")] = Path("."),
    team: Team = None,
    namespace: Namespace = "hackathon",
    limit: Annotated[int, typer.Option(min=1, help="GiB at most.")] = 100,
    store: Store = None,
    credentials: CredentialsFile = None,
    region: Region = _REGION,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Fetch a dataset and check every digest. Run it again to resume a download that was interrupted.

    Teams name what another team offers as TEAM/NAME (`alcove dataset list --team YOURS`). The organizer names a hidden
    dataset as NAME; its solution stays in the store.
    """
    from alcove_toolkit.exchange import DatasetCatalog, check_name, pull_dataset
    from alcove_toolkit.offers import pull_offer

    path, _, digest = name.partition("@")
    offering, _, plain = path.rpartition("/")
    if team is not None and not offering:
        offering = team
    check_name(plain)
    access = _open_access(team, namespace, store, credentials, region, kubeconfig)
    with access.reach() as store_client:
        say = partial(typer.echo, err=True)
        if offering:
            where = (store_client, access.uploads, offering, plain, out)
            data, found = pull_offer(*where, sha256=digest, limit=limit << 30, say=say)
        else:
            catalog = DatasetCatalog(store_client, access.bucket)
            data, found = pull_dataset(catalog, plain, out, sha256=digest or None, limit=limit << 30, say=say)
    typer.echo(f"Fetched {data} ({plain}@{found}). Next: alcove dataset check {data}")


def list_datasets(
    team: Team = None,
    namespace: Namespace = "hackathon",
    store: Store = None,
    credentials: CredentialsFile = None,
    region: Region = _REGION,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """List names and versions, newest first: hidden datasets, or with --team those that teams offer."""
    from alcove_toolkit.exchange import DatasetCatalog, list_versions
    from alcove_toolkit.offers import list_offers

    access = _open_access(team, namespace, store, credentials, region, kubeconfig)
    with access.reach() as store_client:
        rows: list[tuple[str | None, str, str, datetime]]
        if team is None:
            versions = list_versions(DatasetCatalog(store_client, access.bucket))
            rows = [(None, v.name, v.sha256, v.pushed_at) for v in versions]
        else:
            offers = list_offers(store_client, access.uploads)
            rows = [(o.team, o.offered.name, o.offered.sha256, o.pushed_at) for o in offers]
    if as_json:
        fields = (
            {"team": of, "name": name, "sha256": sha256, "pushedAt": at.isoformat()}
            for of, name, sha256, at in rows
        )
        typer.echo(json.dumps(list(fields), indent=2))
        return
    names = [f"{of}/{name}" if of else name for of, name, _, _ in rows]
    width = max(map(len, names), default=0)
    for name, (_, _, sha256, at) in zip(names, rows, strict=True):
        typer.echo(f"{name:<{width}}  {at:%Y-%m-%d %H:%M}  {sha256[:DIGEST_SHOWN]}")
