"""``alcove preflight``: what a competition lacks and what its feedback gives away, told to its organizer in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from alcove_api.competition import CompetitionSpec
from alcove_api.feedback import (
    WHOLE_SCORES,
    DisclosedBits,
    compute_disclosed_bits,
    compute_ladder_bits,
    count_shown_labels,
    is_span_known,
)
from alcove_api.phase import Phase, PhaseFeedback
from alcove_api.schemes import REGRESSION_METRICS, SCHEMES
from alcove_cli.errors import CommandError
from alcove_kube.client import KubeClient
from alcove_kube.resources import COMPETITIONS, DATASETS, LEADERBOARDS, LOCAL_QUEUES
from alcove_operator.core import parse_objects
from alcove_operator.core.model import CompetitionView
from alcove_operator.index import Index
from alcove_operator.preparation import Problem, find_problems, find_queue_problem
from alcove_scorer.errors import first_fault

DEFAULTS = PhaseFeedback()


def read_specs(path: Path) -> dict[str, CompetitionSpec]:
    """By name: the Competitions of a manifest, or the one of the chart's values.

    Raises:
        CommandError: the file cannot be read, or holds no valid Competition.
    """
    try:
        documents = [d for d in yaml.safe_load_all(path.read_text(encoding="utf-8")) if isinstance(d, dict)]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:300].rstrip(".")
        raise CommandError(f"{path} cannot be read: {reason}. Name a YAML file.") from error
    found = dict(_specs(documents, path))
    if not found:
        raise CommandError(
            f"{path} has no Competition. Name a manifest of the kind Competition, or values of the chart that have "
            "competition.spec."
        )
    return found


def _specs(documents: list[Any], path: Path) -> Iterator[tuple[str, CompetitionSpec]]:
    for document in documents:
        if document.get("kind") == "Competition":
            name = str((document.get("metadata") or {}).get("name", ""))
            yield name, _spec(document.get("spec"), str(path))
        elif "kind" not in document and isinstance(document.get("competition"), dict):
            values = document["competition"]
            if values.get("spec"):
                yield str(values.get("name") or "competition"), _spec(values["spec"], f"{path}: competition")


def _spec(raw: object, where: str) -> CompetitionSpec:
    try:
        return CompetitionSpec.model_validate(raw)
    except ValidationError as error:
        field, fault = first_fault(error)
        at = f"spec.{field}" if field else "spec"
        raise CommandError(f"{where} is not valid: {at}: {fault}. Correct it there.") from error


def fetch_competition(kube: KubeClient, namespace: str, name: str) -> tuple[CompetitionView, Index]:
    """A Competition of the cluster, and what the operator would know of it, its Datasets, Leaderboards and queue.

    Raises:
        ApiError: it is not there, or cannot be read.
        CommandError: its spec is not valid.
    """
    raw = kube.get(COMPETITIONS, namespace, name)
    _spec(raw.get("spec"), f"{namespace}/{name}")
    index = Index()
    for resource in (DATASETS, LEADERBOARDS):
        for found in kube.find_all(resource, namespace):
            index.apply(resource, found)
    view = parse_objects.competition_view(raw)
    if (queue := view.spec.local_queue) is not None:
        found_queue = kube.find(LOCAL_QUEUES, namespace, queue)
        index.queue_problems[namespace, queue] = find_queue_problem(queue, namespace, found_queue)
    return view, index


def describe_file(path: Path) -> list[str]:
    """Raises CommandError as :func:`read_specs` does."""
    return [line for spec in read_specs(path).values() for line in describe_feedback(spec, {})]


def describe_cluster(kubeconfig: str | None, competition: str) -> tuple[list[str], bool]:
    """Lines for people, and whether everything is there. ``competition``: NAMESPACE/NAME.

    Raises as :func:`fetch_competition` does.
    """
    namespace, _, name = competition.partition("/")
    if not (namespace and name):
        raise CommandError(f"{competition!r} names no Competition: expected NAMESPACE/NAME.")
    view, index = fetch_competition(KubeClient.from_kubeconfig(kubeconfig), namespace, name)
    problems = list(find_problems(view, index))
    labels = {
        record.view.name: record.view.n_test * record.view.n_labels for record in index.datasets.values()
    }
    return [*describe_problems(view, problems), *describe_feedback(view.spec, labels)], not problems


def describe_problems(competition: CompetitionView, problems: Sequence[Problem]) -> list[str]:
    """What each phase lacks; the metric behind the alert counts the same."""
    if not problems:
        return [f"Nothing is missing: all {len(competition.spec.phases)} phases can take submissions."]
    lines = []
    for phase in competition.spec.phases:
        found = [problem for problem in problems if problem.phase == phase.name]
        opens = f" (opens {phase.opens_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC)" if phase.opens_at else ""
        if found:
            lines.append(f"MISSING in phase {phase.name}{opens}:")
            lines += [f"  {problem.message}" for problem in found]
    return lines


def describe_feedback(spec: CompetitionSpec, labels: Mapping[str, int]) -> list[str]:
    """Lines for people: what each phase gives away, and warnings.

    ``labels``: hidden labels (n_test × n_labels) of each dataset, by name, where known.
    """
    lines = []
    for phase in spec.phases:
        feedback, scoring = phase.feedback, phase.scoring or spec.scoring
        metric = scoring.metric or SCHEMES[scoring.scheme].metric
        most = 1 if phase.from_ else spec.limits.total
        lines.append(f"Phase {phase.name}: {_describe_mode(phase)}")
        if metric in REGRESSION_METRICS:
            lines += _describe_numbers(phase, metric)
            continue
        if feedback.mode == "ladder":
            lines += _describe_ladder(phase, most, metric, labels)
            lines += _warn_of_ladder(phase, spec.phases)
            continue
        runs = most * phase.repeats
        bits = compute_disclosed_bits(feedback.decimals, feedback.max_snapshots, runs, metric)
        lines.append(
            f"  On each dataset this gives away at most {bits.snapshot:.1f} bits about the hidden labels a point, "
            f"{bits.run:.0f} a run,"
        )
        used = "whose one submission is run" if phase.from_ else f"that uses all of its {most} submissions"
        each = f", each {phase.repeats} times" if phase.repeats > 1 else ""
        lines.append(f"  and {bits.team:.0f} to a team {used}{each}.")
        lines += _describe_datasets(phase, runs, metric, bits, labels)
        lines += [f"  WARNING: {said}" for said in _warnings(phase, metric)]
    lines += _warn_of_rows(spec)
    lines += _warn_of_images(spec)
    lines.append(
        "One hidden 0/1 label is one bit. Ranks are not counted. docs/security.md says how it is computed."
    )
    lines.append(
        "An attack on a board, with and without a Ladder, is simulated by: python -m bench.ladder_attack"
    )
    return lines


def _describe_numbers(phase: Phase, metric: str) -> Iterator[str]:
    """Bits say how many labels are given away; a number to predict is not a matter of bits."""
    yield f"  The metric {metric} is of numbers: how much a point tells of a hidden number is not computed in bits."
    if phase.feedback.decimals > DEFAULTS.decimals or phase.feedback.test_fraction > DEFAULTS.test_fraction:
        yield (
            f"  WARNING: with many decimals, a score gives away one number after the other. Take {DEFAULTS.decimals} "
            f"decimals and testFraction {DEFAULTS.test_fraction:g}, or fewer: rows that are shown do not rank."
        )


def _warn_of_rows(spec: CompetitionSpec) -> Iterator[str]:
    """Where a phase shows points of rows that rank, in it or in another phase on the same dataset."""
    if spec.scoring.ranked_rows == "all":
        yield "WARNING: scoring.rankedRows is all: points tell of rows that rank. Take rest, where that was not meant."
        return
    for name in sorted({name for phase in spec.phases for name in phase.datasets}):
        shown = {p.feedback.test_fraction: p.name for p in spec.phases if name in p.datasets}
        if len(shown) > 1:
            yield (
                f"WARNING: the phases {' and '.join(shown.values())} show other parts of {name}: rows that one shows "
                "rank in the other. Give them the same testFraction."
            )
        if 1.0 in shown:
            yield f"WARNING: {shown[1.0]} shows all rows of {name}, so all rows rank. Take a smaller testFraction."


def _warn_of_images(spec: CompetitionSpec) -> Iterator[str]:
    """Where a phase runs code again by an image that may be another by then: no digest names it."""
    finals = [(phase.name, phase.from_.phase) for phase in spec.phases if phase.from_]
    images = spec.images
    named = {
        "ingestion": images.ingestion or "the operator's",
        "ingestionNumpy": images.ingestion_numpy or (None if images.ingestion else "the operator's"),
        "ingestionTorch": images.ingestion_torch,
        "ingestionTf1": images.ingestion_tf1,
    }
    for field, image in named.items():
        if finals and image and "@sha256:" not in image:
            final, source = finals[0]
            yield f"WARNING: images.{field} names no digest: {final} may run the code of {source} again by another"
            yield "  image, as after an upgrade. Name one by digest (NAME@sha256:...) before practice begins."


def _describe_ladder(phase: Phase, submissions: int, metric: str, labels: Mapping[str, int]) -> Iterator[str]:
    feedback = phase.feedback
    bits = compute_ladder_bits(feedback.step, feedback.decimals, submissions, metric)
    yield f"  On each dataset this gives away at most {bits:.0f} bits about the hidden labels to a team that uses all"
    yield f"  of its {submissions} submissions."
    if not is_span_known(metric):
        yield f"  WARNING: {_unknown_span(metric)}"
    for name in phase.datasets:
        if hidden := labels.get(name, 0):
            shown = count_shown_labels(hidden, feedback.test_fraction)
            yield f"  {name}: the Ladder is of {shown} of {hidden} hidden labels: at most {min(bits, shown):.0f} bits."
            if bits >= shown:
                yield f"  WARNING: {_readable_by_team(f'{shown} shown', name)}"


def _warn_of_ladder(phase: Phase, phases: Sequence[Phase]) -> Iterator[str]:
    if phase.from_ is None and not any(other.from_ and other.from_.phase == phase.name for other in phases):
        yield (
            f"  WARNING: {phase.name} ranks by the rows that it shows. Add a phase with from: {{phase: {phase.name}}}, "
            "which ranks by others."
        )


def _describe_datasets(
    phase: Phase, runs: int, metric: str, free: DisclosedBits, labels: Mapping[str, int]
) -> Iterator[str]:
    """What points can tell of the labels that there are, where that is known. ``free``: of labels without end."""
    feedback, whole = phase.feedback, WHOLE_SCORES * free.snapshot
    for name in phase.datasets:
        if not (hidden := labels.get(name, 0)):
            continue
        shown = count_shown_labels(hidden, feedback.test_fraction)
        bits = compute_disclosed_bits(
            feedback.decimals, feedback.max_snapshots, runs, metric, hidden, feedback.test_fraction
        )
        yield f"  {name}: points are of {shown} of {hidden} hidden labels. With these, a run gives away at most"
        yield f"  {bits.run:.0f} bits, and all runs {bits.team:.0f}."
        by_run, by_team = (
            f"{hidden} hidden" if total >= hidden else f"{shown} shown" if points >= shown else ""
            for total, points in ((bits.run, free.run - whole), (bits.team, free.team - runs * whole))
        )
        if by_run:
            yield f"  WARNING: One run could read all of the {by_run} labels of the dataset {name}."
        if by_team not in ("", by_run):
            yield f"  WARNING: {_readable_by_team(by_team, name)}"


def _unknown_span(metric: str) -> str:
    return f"Alcove does not know the span of the metric {metric}: if it is over 2, the bits are more."


def _readable_by_team(labels: str, dataset: str) -> str:
    return (
        f"A team could read all of the {labels} labels of {dataset} over its submissions. Rank on other data."
    )


def _describe_mode(phase: Phase) -> str:
    feedback = phase.feedback
    part = f"{100 * feedback.test_fraction:.3g} % of the test set"
    if feedback.mode == "ladder":
        step = "a step that adapts" if feedback.step is None else f"{feedback.step:g}"
        return f"feedback ladder shows a team's best ALC on {part}, raised by more than {step}."
    shown = f"{feedback.max_snapshots} points of a run, {feedback.decimals} decimals, on {part}"
    when = {"live": "while it goes on", "final": "when all runs have ended", "none": "from revealsAt on"}
    return f"feedback {feedback.mode} shows {shown}, {when[feedback.mode]}."


def _warnings(phase: Phase, metric: str) -> Sequence[str]:
    feedback, said = phase.feedback, []
    if feedback.decimals > DEFAULTS.decimals:
        said.append(
            f"decimals is {feedback.decimals}: each one more is 3.3 bits more a point. Take 3 or fewer."
        )
    if feedback.test_fraction > DEFAULTS.test_fraction:
        said.append(
            f"testFraction is {feedback.test_fraction:g}: few rows are left that points tell nothing of. "
            f"Take {DEFAULTS.test_fraction:g} or less."
        )
    if feedback.max_snapshots > DEFAULTS.max_snapshots:
        said.append(f"maxSnapshots is {feedback.max_snapshots}. Take {DEFAULTS.max_snapshots} or fewer.")
    if not is_span_known(metric):
        said.append(_unknown_span(metric))
    return said
