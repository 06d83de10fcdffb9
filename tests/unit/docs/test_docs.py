"""What the pages for readers say is checked against the code: commands, paths, links, snippets, names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, get_args

import pytest
import typer.main
import yaml

from alcove_api.base import API_VERSION, Kind
from alcove_api.competition import COMPETITION, CompetitionSpec
from alcove_api.dataset import DATASET, DatasetSpec
from alcove_api.leaderboard import LEADERBOARD
from alcove_api.notifications import EventName
from alcove_api.score_documents import STORE_DAMAGED
from alcove_api.submission import SUBMISSION
from alcove_api.team_usage import TEAM_USAGE
from alcove_cli.main import app, mount
from alcove_operator.core.causes import CAUSES_BY_PAYER
from tests.unit.docs.pages import REPOSITORY, Page, blocks, pages
from tests.unit.helm.chart import IMAGES, merged, template

KINDS: tuple[Kind, ...] = (COMPETITION, DATASET, LEADERBOARD, SUBMISSION, TEAM_USAGE)
THE_USERS_OWN = {
    "hackathon.yaml", "images.yaml", "submission.yaml", "competition.yaml", "conformance.yaml", "publisher.json", "-",
    "images-arm64.yaml",
}  # fmt: skip
"""Files that the reader makes."""
CORE_KINDS = {
    "secret",
    "namespace",
    "job",
    "jobs",
    "pods",
    "pvc",
    "events",
    "networkpolicy",
    "service/alcove-store",
}
PAGES = pages()
EXAMPLE: dict[str, Any] = yaml.safe_load((REPOSITORY / "examples" / "hackathon.yaml").read_text())


def commands(page: Page) -> Iterator[list[str]]:
    """Each command of the page's ``sh`` blocks as words, the sides of a pipe apart."""
    for block in blocks(page, "sh"):
        for line in block.splitlines():
            words: list[str] = []
            for word in shlex.split(line, comments=True):
                if word in ("|", "&", "&&", ">"):
                    if words:
                        yield words
                    words = []
                else:
                    words.append(word)
            if words:
                yield words


ALL = [(page.name, words) for page in PAGES for words in commands(page)]


def of(program: str) -> list[Any]:
    found = [(page, w) for page, w in ALL if w[0].rpartition("/")[2] == program]
    return [pytest.param(words[1:], id=f"{page}: {' '.join(words)[:60]}") for page, words in found]


def test_only_programs_that_are_checked_here_are_named() -> None:
    programs = {words[0].rpartition("/")[2] for _, words in ALL}
    assert programs <= {"make", "alcove", "kubectl", "helm", "docker", "base64", "publisher.json"}


@pytest.mark.parametrize("arguments", of("make"))
def test_make_has_the_target(arguments: list[str]) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (REPOSITORY / "Makefile").read_text(), re.M))
    wanted = {word for word in arguments if "=" not in word}
    assert wanted <= targets


@pytest.fixture(scope="module")
def alcove() -> Any:
    mount()
    return typer.main.get_command(app)


@pytest.mark.parametrize("arguments", of("alcove"))
def test_alcove_takes_the_command(alcove: Any, arguments: list[str]) -> None:
    """Parses it with the program's own parser, which refuses unknown commands, options and missing arguments."""
    command, words = alcove, list(arguments)
    while hasattr(command, "commands"):
        assert words, "a command is missing"
        command = command.commands[words.pop(0)]
    command.make_context(command.name, words).close()


@pytest.mark.parametrize("arguments", [*of("kubectl"), *of("helm")])
def test_kubectl_and_helm_name_what_there_is(arguments: list[str]) -> None:
    namespaces = {"hackathon", "conformance", *(f"hackathon-{team['name']}" for team in EXAMPLE["teams"])}
    for option, value in pairwise(arguments):
        if option == "-n":
            assert value in namespaces
        if option in ("-f", "-k"):
            assert value in THE_USERS_OWN or (REPOSITORY / value).exists()
    if arguments[0] in ("get", "describe", "delete", "port-forward"):
        known = {n for k in KINDS for n in (k.name.lower(), k.plural, *k.short_names)}
        known |= CORE_KINDS
        assert set(arguments[1].split(",") if arguments[1] != "-n" else arguments[3:4]) <= known


@pytest.mark.parametrize(("page", "words"), ALL, ids=lambda value: str(value)[:60])
def test_paths_in_commands_exist(page: str, words: list[str]) -> None:
    tops = {path.name for path in REPOSITORY.iterdir() if path.is_dir()} - {"out", ".venv"}
    paths = [word for word in words if "/" in word and word.split("/")[0] in tops]
    assert all((REPOSITORY / path).exists() for path in paths), page


YAML = [
    (page.name, document)
    for page in PAGES
    for block in blocks(page, "yaml")
    for document in yaml.safe_load_all(block)
]
SNIPPETS = [
    pytest.param(document, id=f"{page}: {document['kind']}")
    for page, document in YAML
    # integration/helm/test_certificates.py applies those of cert-manager.
    if "kind" in document and not document["apiVersion"].startswith("cert-manager.io/")
]
VALUES = [
    pytest.param(document, id=f"{page}: {'+'.join(document)}")
    for page, document in YAML
    if "kind" not in document
]


@pytest.mark.parametrize("values", VALUES)
def test_the_chart_takes_the_values_shown(values: dict[str, Any]) -> None:
    done = template(merged(IMAGES, values))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("document", SNIPPETS)
def test_snippets_are_objects_of_the_api(document: dict[str, Any]) -> None:
    kind = next(kind for kind in KINDS if kind.name == document["kind"])
    assert document["apiVersion"] == API_VERSION
    kind.spec.model_validate(document["spec"])


def test_the_hackathon_to_copy_is_sound() -> None:
    spec = CompetitionSpec.model_validate(EXAMPLE["competition"]["spec"])
    for dataset in EXAMPLE["datasets"]:
        DatasetSpec.model_validate({key: value for key, value in dataset.items() if key != "name"})
    assert {name for phase in spec.phases for name in phase.datasets} == {
        dataset["name"] for dataset in EXAMPLE["datasets"]
    }


def test_the_values_that_are_named_exist() -> None:
    values = yaml.safe_load((REPOSITORY / "helm" / "alcove" / "values.yaml").read_text())
    named = {
        name
        for page in PAGES
        for name in re.findall(r"`([a-zA-Z]+(?:\.[a-zA-Z]+)+)(?::[^`]*)?`", page.text)
        if name.split(".")[0] in values and not name.startswith("competition.spec") and name[-5:] != ".yaml"
    }
    assert named
    for name in named - {"images.allowed", *get_args(EventName)}:  # of the Competition
        inner: Any = values
        for part in name.split("."):
            assert part in inner, name
            inner = inner[part]


PAYERS = {"": "nobody", "Participant": "you", "Organizer": "the organizer", "Platform": "the platform"}


def test_every_cause_is_explained_with_who_pays() -> None:
    given = {(name, PAYERS[payer]) for payer, names in CAUSES_BY_PAYER.items() for name in names}
    # Not the end of a run: the scorer finds it.
    given |= {(STORE_DAMAGED, "the platform")}
    page = next(page for page in PAGES if page.name == "docs/participant.md")
    rows = re.findall(r"^\| (`.*?) \|.*\| (nobody|you|the organizer|the platform) \|$", page.text, re.M)
    explained = {(name, payer) for names, payer in rows for name in re.findall(r"`(\w+)`", names)}
    assert explained == given
