"""Pictures of what single numbers say: metrics, agreement of datasets, shares of variance, bits (docs/science.md).

``python -m bench.science`` draws them, from simulations and the scorer's own functions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from alcove_api.feedback import compute_disclosed_bits
from alcove_scorer.colours import INK, MUTED, SERIES
from alcove_scorer.metric_registry import find_metric
from alcove_scorer.nested_bootstrap import Table
from alcove_scorer.pictures import HEIGHT, WIDTH
from alcove_scorer.rank_uncertainty import measure_uncertainty
from alcove_scorer.ranks import rank_participants
from alcove_scorer.significance import friedman_test, kendall_w
from alcove_scorer.svg import open_canvas, write_svg

Floats = npt.NDArray[np.float64]


def draw_meanings(scores: Floats) -> dict[str, bytes]:
    """``scores``: of a challenge, participants × datasets."""
    return {
        "label-metrics.svg": draw_label_metrics(),
        "top-k.svg": draw_top_k(),
        "number-metrics.svg": draw_number_metrics(),
        "agreement.svg": draw_agreement(scores),
        "variance-shares.svg": draw_variance_shares(),
        "bits.svg": draw_bits(),
    }


def draw_label_metrics() -> bytes:
    """Values that one prediction gives to a label, where it is present and where it is absent."""
    rng = np.random.default_rng(0)
    truth = np.arange(2000) % 4 == 0
    values = 1 / (1 + np.exp(-rng.normal(np.where(truth, 1.0, -1.5), 1.3)))
    names = ("balanced_accuracy", "nauc", "macro_f1", "log_loss", "brier")
    found = [(name, find_metric(name).score(truth[:, None], values[:, None])) for name in names]
    with open_canvas(WIDTH, HEIGHT) as (figure, axes):
        bins = np.linspace(0, 1, 26)
        for colour, rows, said in ((SERIES[1], ~truth, "absent"), (SERIES[0], truth, "present")):
            axes.hist(values[rows], bins, color=colour, alpha=0.55, label=f"label {said}")
        axes.axvline(0.5, color=INK, linestyle="--", linewidth=1)
        axes.annotate("called present", (0.5, 0.97), (5, 0), xycoords=("data", "axes fraction"),
                      textcoords="offset points", va="top", color=MUTED)  # fmt: skip
        told = "\n".join(f"{name.replace('_', ' ')}  {score:.2f}" for name, score in found)
        axes.annotate(told, (0.98, 0.84), xycoords="axes fraction", ha="right", va="top")
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.3, 1.0))
        axes.set_xlim(0, 1)
        axes.set_xlabel("value predicted")
        axes.set_ylabel("examples")
        return write_svg(figure)


def draw_top_k(labels: int = 10, examples: int = 4000) -> bytes:
    """Share of examples with the true label among the k highest, and that less chance."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, labels, examples)
    values = rng.normal(size=(examples, labels))
    values[np.arange(examples), truth] += 1.2
    place = (values > values[np.arange(examples), truth][:, None]).sum(axis=1)
    ks = np.arange(1, labels)
    shares = np.array([(place < k).mean() for k in ks])
    with open_canvas(WIDTH, HEIGHT) as (figure, axes):
        axes.plot(ks, shares, "o-", color=SERIES[0], label="share of examples")
        axes.plot(ks, ks / labels, color=MUTED, linestyle="--", label="chance")
        axes.plot(ks, (shares - ks / labels) / (1 - ks / labels), "o-", color=SERIES[1], label="less chance")
        solution = np.eye(labels, dtype=np.bool_)[truth]
        for k, name in ((1, "top_1"), (5, "top_5")):
            score = find_metric(name).score(solution, values)
            axes.annotate(f"{name} = {score:.2f}", (k, score), (8, -4), textcoords="offset points",
                          va="top", color=SERIES[1], weight="bold")  # fmt: skip
        axes.set_ylim(0, 1.02)
        axes.set_xticks(ks)
        axes.set_xlabel(f"k, of {labels} labels")
        axes.legend(frameon=False, loc="lower right")
        return write_svg(figure)


def draw_number_metrics() -> bytes:
    """The same predictions without and with one that is far off."""
    rng = np.random.default_rng(2)
    truth = rng.normal(10, 3, 40)
    predicted = truth + rng.normal(0, 1, 40)
    spoilt = predicted.copy()
    spoilt[np.argmin(np.abs(truth - 8))] += 16

    def told(values: Floats) -> str:
        scores = (find_metric(name).score(truth[:, None], values[:, None]) for name in ("r2", "mae"))
        return "r2 {:.2f}, mae {:.2f}".format(*scores)

    with open_canvas(WIDTH, HEIGHT) as (figure, axes):
        ends = [truth.min() - 1, truth.max() + 1]
        axes.plot(ends, ends, color=MUTED, linestyle="--", linewidth=1, label="the truth: 1")
        axes.axhline(float(truth.mean()), color=SERIES[2], linewidth=1, label="the mean alone: r2 0")
        far = spoilt != predicted
        axes.plot(truth[far], spoilt[far], "s", color=SERIES[1], label=f"with this one: {told(spoilt)}")
        axes.plot(truth, predicted, "o", color=SERIES[0], alpha=0.7, label=f"without: {told(predicted)}")
        axes.set_xlabel("number in the solution")
        axes.set_ylabel("number predicted")
        axes.legend(frameon=False, loc="upper left", fontsize=9)
        axes.set_ylim(top=34)
        return write_svg(figure)


def draw_agreement(scores: Floats) -> bytes:
    """Friedman's χ² where all are equal, and that of a challenge; Kendall's W is the same on another scale."""
    k, n = scores.shape
    ranks = rank_participants(scores).ranks
    found, agreement = friedman_test(ranks), kendall_w(ranks)
    assert found is not None
    assert agreement is not None
    orders = np.random.default_rng(0).random((20_000, n, k)).argsort(axis=2)
    spread = ((orders.sum(axis=1) - n * (k - 1) / 2) ** 2).sum(axis=1)
    equals = 12 * spread / (n * k * (k + 1))
    with open_canvas(WIDTH, HEIGHT) as (figure, axes):
        axes.hist(equals, 60, density=True, color=SERIES[0], alpha=0.4, label="equals, simulated")
        xs = np.linspace(0, 1.15 * found.chi2, 400)
        axes.plot(xs, stats.chi2.pdf(xs, k - 1), color=SERIES[0], label="what p is taken from")
        axes.axvline(found.chi2, color=SERIES[1], label=f"AutoDL: χ² {found.chi2:.0f}, W {agreement:.2f}")
        axes.set_xlim(0, xs[-1])
        axes.set_yticks([])
        axes.set_xlabel("Friedman's χ²")
        above = axes.secondary_xaxis(
            "top", functions=(lambda x: x / (n * (k - 1)), lambda w: w * n * (k - 1))
        )
        above.set_xlabel("Kendall's W")
        axes.legend(frameon=False, loc="upper center")
        return write_svg(figure)


def draw_variance_shares() -> bytes:
    """Of three simulated competitions: 8 participants, 10 datasets, three runs."""
    cases = (("runs differ", 0.08, 0.01, 0.02), ("test sets are small", 0.01, 0.06, 0.02),
             ("datasets differ", 0.02, 0.02, 0.15))  # fmt: skip
    rng, shares = np.random.default_rng(0), []
    for _, run, example, dataset in cases:
        expected = 0.7 + rng.normal(0, dataset, (8, 10))
        repeats = expected[:, :, None] + rng.normal(0, run, (8, 10, 3)) + rng.normal(0, example, (1, 10, 1))
        examples = repeats.mean(axis=2)[:, :, None] + rng.normal(0, example, (1, 10, 300))
        ranking = rank_participants(repeats.mean(axis=2))
        found = measure_uncertainty(
            Table(repeats, 0.0, examples), "all", ranking, lambda *_: None, 300, 0
        ).shares
        assert found is not None
        shares.append(found)
    with open_canvas(WIDTH, 2.0) as (figure, axes):
        left = np.zeros(len(cases))
        for colour, name in zip(SERIES, ("runs", "examples", "datasets"), strict=False):
            widths = np.array([one[name] for one in shares])
            axes.barh(range(len(cases)), widths, left=left, color=colour, height=0.7, label=name)
            left += widths
        axes.set_yticks(range(len(cases)), [name for name, *_ in cases], color=INK)
        axes.set_ylim(len(cases) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.set_xlabel("share of the variance of mean scores")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, handlelength=1)
        return write_svg(figure)


def draw_bits(snapshots: int = 20) -> bytes:
    """What a run tells at most of 10,000 hidden labels, by the decimals of its scores."""
    decimals = range(1, 7)
    with open_canvas(WIDTH, HEIGHT) as (figure, axes):
        for colour, shown in zip(SERIES, (1, 5, snapshots), strict=False):
            bits = [compute_disclosed_bits(d, shown, 1, hidden=10_000).run for d in decimals]
            points = "1 point" if shown == 1 else f"{shown} points"
            axes.plot(decimals, bits, "o-", color=colour, label=f"{points} shown")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("decimals")
        axes.set_ylabel("bits of a run at most")
        axes.legend(frameon=False, loc="upper left")
        return write_svg(figure)
