"""The Leaderboards of a competition, which publish its rules: teams may read them, and not the Competition."""

from __future__ import annotations

from alcove_api.phase import explain_missing_phase
from alcove_cli.errors import CommandError, FailedError
from alcove_cli.options import parse_competition
from alcove_kube.client import KubeClient, Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import LEADERBOARDS


def find_board_url(boards: list[Object]) -> str:
    """Where people reach the web server of boards, http(s)://host[:port]; "" where it has no public address."""
    urls = (board["spec"].get("rules", {}).get("boardUrl", "") for board in boards)
    return next((str(url) for url in urls if url), "")


def find_page(kube: KubeClient, competition: str, phase: str | None) -> str:
    """The address of a phase's board, or of the list of all where no phase is named.

    Raises:
        CommandError: there is no such competition or phase.
        FailedError: the web server of boards has no public address.
    """
    boards = read_boards(kube, competition)
    namespace, name = parse_competition(competition)
    known = sorted(board["spec"]["phase"] for board in boards)
    if phase is not None and phase not in known:
        raise CommandError(explain_missing_phase(competition, phase, known))
    path = f"/{name}/{phase}" if phase else "/"
    url = find_board_url(boards)
    if not url:
        raise FailedError(
            "The web server of boards has no public address.",
            consequence="There is nothing that everyone can open.",
            remedy="Set board.publicUrl; or reach it yourself: "
            f"kubectl port-forward -n {namespace} service/alcove-board 8000:80, then open http://127.0.0.1:8000{path}",
        )
    return f"{url}{path}"


def read_boards(kube: KubeClient, competition: str, consequence: str = "") -> list[Object]:
    """One a phase, as the API server has them; at least one.

    Args:
        competition: NAMESPACE/NAME, or the name alone where both are the same.
        consequence: of an error, for people.

    Raises:
        CommandError: there is no such competition, or the kubeconfig's account may not see it.
    """
    namespace, name = parse_competition(competition)
    try:
        boards = kube.find_all(LEADERBOARDS, namespace)
    except ApiError as error:
        if error.status != 403:
            raise
        raise CommandError(
            f"You may not see any competition in the namespace {namespace}.",
            consequence=consequence,
            remedy="Give NAMESPACE/NAME of the one that your team takes part in.",
        ) from error
    found = [board for board in boards if board["spec"]["competition"] == name]
    if not found:
        known = sorted({f"{namespace}/{board['spec']['competition']}" for board in boards})
        choices = f" It has {', '.join(known)}." if known else ""
        raise CommandError(
            f"There is no competition {name} in the namespace {namespace}.{choices}",
            consequence=consequence,
            remedy="Give NAMESPACE/NAME of the one that you mean.",
        )
    return found
