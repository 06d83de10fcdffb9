"""The contact sheet of a dataset: one self-contained HTML file that shows some of its examples.

Anybody can have written the names and texts in a dataset: the template escapes everything, and the page's policy
forbids scripts, forms and the network.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from alcove_api.words import format_bytes
from alcove_format.metadata import Metadata
from alcove_format.reader import DataFolder
from alcove_format.solution import SolutionTable, Targets
from alcove_toolkit.example_views import SECONDS, ExampleViewer, format_shape
from alcove_toolkit.part_survey import PartSurvey, choose_examples, survey_part

DEFAULT_RATE = 16000.0
"""Samples a second that are assumed where a dataset does not say, as in AutoDL's."""
_LABELS = 40
"""At most so many bars in the chart of labels."""


@dataclass(frozen=True)
class LabelBar:
    """How often a label occurs. ``…_share``: percent of the share that the most frequent label has in its part."""

    name: str
    train: int
    train_share: float
    test: int
    test_share: float


def render_contact_sheet(
    folder: DataFolder, solution: SolutionTable | Targets | None, examples: int = 40, rate: float = 0.0
) -> str:
    """Return the page, as HTML.

    Args:
        solution: of the test part; None hides the labels of test examples.
        examples: number from train, spread over the labels; test shows a quarter as many.
        rate: samples of sound per second, where the metadata lack it or are wrong.

    Raises:
        FormatError: a record is damaged; names file and position. (A picture that cannot be decoded is marked.)
    """
    metadata = folder.train.metadata
    of_test = max(examples // 4, 1)
    train, test = survey_part(folder.train, examples), survey_part(folder.test, of_test, solution)
    viewer = ExampleViewer(metadata, rate or metadata.rate or DEFAULT_RATE)
    hidden = solution is None
    shown = [viewer.show(folder.train, place) for place in choose_examples(train, examples)]
    asked = [viewer.show(folder.test, place, hidden=hidden) for place in choose_examples(test, of_test)]
    return _render_page(
        name=folder.name,
        kind=metadata.domain,
        facts=_list_facts(folder, train, test),
        bars=[] if metadata.is_regression else _label_bars(metadata, train, test, solution),
        more_labels=0 if metadata.is_regression else max(metadata.n_labels - _LABELS, 0),
        has_solution=not hidden,
        columns=viewer.columns,
        columns_left_out=viewer.columns_left_out,
        assumed_rate=0 if rate or metadata.rate or metadata.domain != "speech" else round(DEFAULT_RATE),
        seconds=round(SECONDS),
        parts=[("Train", shown), ("Test", asked)],
    )


def _render_page(**values: Any) -> str:
    """Fill the template, with its style sheet inside; the page's policy allows that one alone, by its digest."""
    import jinja2  # Slow to import.

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("alcove_toolkit"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = environment.get_template("contact_sheet.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    template = environment.get_template("contact_sheet.html")
    return template.render(style=style, style_digest=digest, **values)


def _list_facts(folder: DataFolder, train: PartSurvey, test: PartSurvey) -> list[tuple[str, str]]:
    metadata = folder.train.metadata
    files = len(folder.train.files) + len(folder.test.files)
    facts = [
        ("Examples", f"{train.examples:,} train, {test.examples:,} test"),
        _count_answers(metadata),
        ("Shape", f"{format_shape(metadata.shape)} (time × rows × columns × channels)"),
        ("Format", metadata.format.value),
        ("Files", f"{files:,}, {format_bytes(train.bytes)} train, {format_bytes(test.bytes)} test"),
    ]
    labelled = train.examples - train.unlabelled
    if metadata.is_regression:
        facts += _list_spreads(metadata, train, test)
    elif labelled and train.counts.sum() != labelled:
        facts.append(("Labels per example", f"{train.counts.sum() / labelled:.2f} on average"))
    if train.unlabelled:
        facts.append(("Without a label", f"{train.unlabelled:,} of train"))
    if metadata.holds_tokens:
        facts.append(("Vocabulary", f"{metadata.vocabulary_size:,}"))
    if metadata.rate:
        facts.append(("Rate", f"{metadata.rate:,.6g} steps per second"))
    if metadata.split:
        facts.append(("Split", metadata.split))
    return facts


def _count_answers(metadata: Metadata) -> tuple[str, str]:
    if not metadata.is_regression:
        return "Labels", f"{metadata.n_labels:,}"
    more = " …" if metadata.n_labels > _LABELS else ""
    return "Numbers to predict", ", ".join(metadata.label_names[:_LABELS]) + more


def _list_spreads(metadata: Metadata, train: PartSurvey, test: PartSurvey) -> list[tuple[str, str]]:
    """Lowest, mean and highest of each number, of the parts that say it."""
    facts = []
    for label, name in enumerate(metadata.label_names[:_LABELS]):
        parts = (("train", train.numbers.get(label)), ("test", test.numbers.get(label)))
        told = "; ".join(f"{part}: {found}" for part, found in parts if found)
        facts.append((f"{name}, lowest, mean and highest", told))
    return facts


def _label_bars(
    metadata: Metadata, train: PartSurvey, test: PartSurvey, solution: SolutionTable | Targets | None
) -> list[LabelBar]:
    """Bars of all labels in their order; of the most frequent ones where there are too many."""
    order = np.arange(metadata.n_labels)
    if metadata.n_labels > _LABELS:
        order = np.sort(np.argsort(-train.counts, kind="stable")[:_LABELS])
    shares = train.counts / max(train.examples, 1)
    test_shares = test.counts / max(test.examples, 1)
    most = (
        max(float(shares.max(initial=0)), float(test_shares.max(initial=0)) if solution is not None else 0)
        or 1
    )
    names = metadata.label_names
    return [
        LabelBar(
            names[i],
            int(train.counts[i]),
            round(100 * float(shares[i]) / most, 2),
            int(test.counts[i]),
            round(100 * float(test_shares[i]) / most, 2),
        )
        for i in order
    ]
