"""A ranked table as JSON and as text: what ``alcove rank`` prints."""

from __future__ import annotations

import math
import re
import textwrap
from typing import Any

from alcove_api.score_text import format_score
from alcove_api.words import count_of, write_place
from alcove_scorer.csv_files import make_printable
from alcove_scorer.differences import describe_difference
from alcove_scorer.kemeny import find_kemeny_order
from alcove_scorer.rank_files import RankedTable, RankOptions, ScoreTable
from alcove_scorer.rank_intervals import CONFIDENCE, describe_places
from alcove_scorer.rank_uncertainty import CONDITIONS, Uncertainty
from alcove_scorer.text_tables import WIDTH, fold_table
from alcove_scorer.written_text import shorten_name

_ERRORS = re.compile(
    r"(.*[^a-z])?(rmse|mse|mae|mape|error|err|loss|logloss|regret|time|seconds|secs|latency|runtime|duration|eer|wer|cer|"
    r"perplexity|mean rank|rank)([^a-z].*)?",
    re.IGNORECASE,
)
"""Names of scores of which lower ones are better."""


MOST_TOLD = 3
"""Differences to the first that the text has."""


def direction_note(table: ScoreTable, options: RankOptions) -> str:
    """What to say of datasets whose scores seem to be errors or times, while higher ones are better; else empty."""
    found = [name for name in table.datasets if _ERRORS.fullmatch(name)] if options.sign > 0 else []
    if not found:
        return ""
    listed = ", ".join(map(make_printable, found[:4])) + (" …" if len(found) > 4 else "")
    return f"named like errors or times: {listed}; if lower is better, pass --lower-is-better"


def as_document(table: ScoreTable, ranked: RankedTable, options: RankOptions) -> dict[str, object]:
    """The command's JSON."""
    test, cd = ranked.friedman, ranked.cd
    profile = {"tau_max": options.tau_max} if options.of_times else {}
    if options.method == "kemeny":
        order = find_kemeny_order(ranked.ranking.ranks)
        profile = {"disagreements": order.disagreements, "fewest_possible": order.bound}
    return {
        **profile,
        "better": "higher" if options.sign > 0 else "lower",
        "note": direction_note(table, options) or None,
        "datasets": list(table.datasets),
        "entries": _entries(table, ranked, options),
        "uncertainty": _describe_uncertainty(table, ranked),
        "against_first": [
            {
                "participant": table.participants[d.participant],
                "first_better": d.better,
                "equal": d.equal,
                "first_worse": d.worse,
                "wilcoxon_p": d.p,
                "holm_p": d.holm_p,
            }
            for d in ranked.differences
        ],
        "friedman": None if test is None else test.as_document(),
        "critical_difference": None if cd is None else {"alpha": options.alpha, "cd": cd},
        "kendall_w": ranked.kendall_w,
    }


def _describe_uncertainty(table: ScoreTable, ranked: RankedTable) -> dict[str, object] | None:
    found = ranked.uncertainty
    if found is None:
        return None
    order = ranked.ranking.order
    names = [table.participants[i] for i in order]
    condition = CONDITIONS[found.source]
    said = describe_places(names, found.ranks[order], len(table.datasets), "participants", condition)
    shares = {} if found.shares is None else {"shares": found.shares}
    return {"source": found.source, "confidence": CONFIDENCE, "places": said, **shares}


def _entries(table: ScoreTable, ranked: RankedTable, options: RankOptions) -> list[dict[str, object]]:
    """A score of null is a missing run, which has the last rank but no score."""
    ranking, found = ranked.ranking, ranked.uncertainty
    return [
        {
            "participant": table.participants[i],
            "rank": int(ranking.rank[i]),
            "tied": bool(ranking.tied[i]),
            "value": _finite(ranking.value[i]),
            "ranks": dict(zip(table.datasets, ranking.ranks[i].tolist(), strict=True)),
            "scores": {
                name: _finite(score)
                for name, score in zip(table.datasets, ranked.scores[i].tolist(), strict=True)
            },
            "interval": None if found is None else found.ranks[i].tolist(),
            "mean_score": None if found is None else _mean_score(found, i, options.sign),
        }
        for i in ranking.order
    ]


def _mean_score(found: Uncertainty, i: int, sign: float) -> dict[str, float | None]:
    mean, low, high = (sign * found.means[i]).tolist()
    low, high = sorted((low, high))
    return {"mean": _finite(mean), "low": _finite(low), "high": _finite(high)}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def as_text(document: dict[str, object]) -> str:
    entries = document["entries"]
    assert isinstance(entries, list)
    datasets = document["datasets"]
    assert isinstance(datasets, list)
    named = ", ".join(map(make_printable, datasets))
    ranked_by = f"{count_of(len(datasets), 'dataset')} ({named}); {document['better']} is better"
    names = [make_printable(entry["participant"]) for entry in entries]
    header = [
        "rank",
        "participant",
        "value",
        "95 % of ranks",
        *(shorten_name(make_printable(d), 20) for d in datasets),
    ]
    missing = "not reached" if "tau_max" in document else "no run"
    rows = [_cells(name, entry, missing) for name, entry in zip(names, entries, strict=True)]
    lines = textwrap.wrap(ranked_by, WIDTH)
    for table in fold_table([header, *rows], 2):
        lines += ["", *table]
    lines += ["Under each dataset: the rank on it.", ""]
    uncertainty = document["uncertainty"]
    if isinstance(uncertainty, dict):
        lines += _uncertainty_lines(uncertainty)
    if "disagreements" in document:
        lines.append(
            f"This order disagrees with the datasets on {document['disagreements']:g} pairs; no order does on fewer "
            f"than {document['fewest_possible']:g}."
        )
    against = document["against_first"]
    assert isinstance(against, list)
    lines += _difference_lines(names[0], against)
    test, cd, w = document["friedman"], document["critical_difference"], document["kendall_w"]
    if isinstance(test, dict):
        f = (
            f"{test['f']:.4g} (p {test['f_p']:.3g})"
            if test["f"] is not None
            else "has no bound: all rank alike"
        )
        lines.append(f"Friedman χ² {test['chi2']:.4g} (p {test['p']:.3g}); Iman–Davenport F {f}")
    if isinstance(cd, dict):
        lines.append(f"critical difference {cd['cd']:.4f} of mean ranks at α {cd['alpha']:g} (Nemenyi)")
    if w is not None:
        lines.append(f"Kendall's W {w:.4f}")
    if document["note"]:
        lines.append(str(document["note"]))
    return "\n".join(lines)


def _cells(name: str, entry: dict[str, Any], missing: str) -> list[str]:
    value = "–" if entry["value"] is None else format_score(entry["value"], 4)
    span = "–" if entry["interval"] is None else "{:g}–{:g}".format(*entry["interval"])
    by_dataset = (
        f"{place:g}{f' ({missing})' if entry['scores'][dataset] is None else ''}"
        for dataset, place in entry["ranks"].items()
    )
    return [write_place(entry["rank"], entry["tied"]), shorten_name(name, 32), value, span, *by_dataset]


def _uncertainty_lines(uncertainty: dict[str, object]) -> list[str]:
    said = [make_printable(str(uncertainty["places"]))]
    shares = uncertainty.get("shares")
    if isinstance(shares, dict):
        parts = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())
        said.append(f"The variance of mean scores comes from: {parts}.")
    return [line for text in said if text for line in textwrap.wrap(text, 80)]


def _difference_lines(first: str, against: list[dict[str, Any]]) -> list[str]:
    """The nearest few; the page and the JSON have more."""
    said = [
        f"{first} is {describe_difference(d['first_better'], d['equal'], d['first_worse'])} "
        f"{make_printable(d['participant'])}: better {d['first_better']:.2f}, equal {d['equal']:.2f}, worse "
        f"{d['first_worse']:.2f} (Wilcoxon–Holm p {d['holm_p']:.2g})"
        for d in against[:MOST_TOLD]
    ]
    return [line for text in said for line in textwrap.wrap(text, WIDTH, subsequent_indent="  ")]
