"""Retrieve, then re-rank: how the places of right documents change, who moved, and what either way costs."""
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from transformer.data.pairing import enclosed_pairs
from transformer.data.ranking import discounted, places, recall, reciprocal, tf_idf
from transformer.data.tokenizers import Tokenizer
from transformer.shows.retrieval import answers_of, vectors_of
from transformer.training.experiment import Measure, Show

SIZES = (4, 1000, 30_000, 100_000)


@dataclass(frozen=True)
class Search:
    """A net, then a sieve: a bi-encoder fetches the first `most`, a cross-encoder sorts them."""

    documents: Sequence[str]
    queries: Sequence[str]
    truth: np.ndarray
    retriever: Any
    tokenizer: Tokenizer
    length: int
    most: int

    @cached_property
    def fetched(self) -> np.ndarray:
        """The scores [query, document] of the bi-encoder, one vector a text."""
        asked, there = (vectors_of(self.retriever, texts, self.tokenizer, self.length) for texts in (self.queries, self.documents))
        return asked @ there.T

    def sorted_by(self, model: Any) -> np.ndarray:
        """The same scores, where those of the best are the cross-encoder's, above all others."""
        best = np.argsort(-self.fetched, axis=1, kind="stable")[:, :self.most]
        rows = enclosed_pairs([self.queries[at] for at in np.repeat(np.arange(len(best)), best.shape[1]).tolist()],
                              [self.documents[at] for at in best.ravel().tolist()], self.tokenizer, 2 * self.length)
        scores = 1 / (1 + np.exp(-answers_of(model, rows, 512)[:, 0].reshape(best.shape)))
        result = self.fetched - 10
        np.put_along_axis(result, best, scores, 1)
        return result


def retrieval(search: Search) -> dict[str, float]:
    """How good the net is by itself."""
    found = places(search.fetched, search.truth)
    return {"bi_mrr": reciprocal(found), "bi_ndcg": discounted(found), "bi_recall_at_1": recall(found, 1), "recall_fetched": recall(found, search.most)}


def reranking(search: Search) -> Measure:
    """Both, side by side."""

    def measure(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        before, after = places(search.fetched, search.truth), places(search.sorted_by(model), search.truth)
        return {**retrieval(search), "mrr": reciprocal(after), "ndcg": discounted(after), "recall_at_1": recall(after, 1),
                "up": float((after < before).mean()), "down": float((after > before).mean())}

    return measure


def silver(search: Search, model: Any) -> tuple[list[str], list[str], np.ndarray]:
    """What is fetched for each query, and how well the cross-encoder finds that it fits: pairs for the bi-encoder to learn from."""
    scores = search.sorted_by(model)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :search.most]
    asked = np.repeat(np.arange(len(best)), best.shape[1])
    return [search.queries[at] for at in asked.tolist()], [search.documents[at] for at in best.ravel().tolist()], scores[asked, best.ravel()]


def rankings(search: Search) -> Show:
    """Rankings before and after, side by side; what either way costs for n texts among themselves; where right documents went."""

    def show(model: Any, folder: Path) -> str:
        scores = search.sorted_by(model)
        before, after = places(search.fetched, search.truth), places(scores, search.truth)
        _draw(before, after, places(tf_idf(search.queries, search.documents), search.truth), search.most, folder / "reranked.png")
        asked = int(np.argmax(before - after))
        return "\n".join([f"query {search.queries[asked]!r}: the right document, marked *, went from {before[asked]:.0f} to {after[asked]:.0f}",
                          *_side_by_side(search, scores, asked), "", *_costs(search, model)])

    return show


def _side_by_side(search: Search, scores: np.ndarray, asked: int, most: int = 5) -> list[str]:
    """The first documents of each ranking; of the second, where each came from."""
    first, second = (np.argsort(-table[asked], kind="stable") for table in (search.fetched, scores))
    was = {int(number): place for place, number in enumerate(first, start=1)}

    def named(number: int) -> str:
        return ("*" if number == search.truth[asked] else " ") + search.documents[number]

    width = max(len(named(number)) for number in first[:most])
    lines = [f"   {'bi-encoder':{width}}   cross-encoder"]
    for place, (one, other) in enumerate(zip(first[:most], second[:most], strict=True), start=1):
        lines.append(f"{place}  {named(one):{width}}   {named(other)}  (was {was[int(other)]}, scored {scores[asked, other]:.2f})")
    return lines


def _costs(search: Search, model: Any) -> list[str]:
    """n encodings against n(n-1)/2 readings of two, by what was measured here."""
    rows = enclosed_pairs(search.queries, search.queries[::-1], search.tokenizer, 2 * search.length)
    encoding = _seconds(lambda: vectors_of(search.retriever, search.documents, search.tokenizer, search.length)) / len(search.documents)
    reading = _seconds(lambda: answers_of(model, rows)) / len(search.queries)
    lines = [f"compare n texts among themselves, at {1e3 * encoding:.2f} ms an encoding and {1e3 * reading:.2f} ms a pair:"]
    for n in SIZES:
        pairs = n * (n - 1) // 2
        lines.append(f"  n {n:>7,}: {n:>7,} encodings, {_time(n * encoding):>9}; {pairs:>13,} pairs, {_time(pairs * reading)}")
    return lines


def _seconds(work: Any) -> float:
    work()  # once before, to be compiled
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _time(seconds: float) -> str:
    for length, name in ((86400, "days"), (3600, "hours"), (60, "minutes"), (1, "s")):
        if seconds >= length:
            return f"{seconds / length:,.1f} {name}"
    return f"{1e3 * seconds:,.1f} ms"


def _draw(before: np.ndarray, after: np.ndarray, words: np.ndarray, most: int, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 3.8), layout="constrained")
    curve, moves = figure.subplots(1, 2)
    first = np.arange(1, most + 1)
    for found, label, color in ((words, "TF-IDF", "tab:gray"), (before, "bi-encoder", "tab:blue"), (after, "then cross-encoder", "tab:red")):
        curve.plot(first, [recall(found, int(at)) for at in first], color=color, label=f"{label}: MRR {reciprocal(found):.2f}")
    curve.set(xlabel="documents looked at", ylabel="share of queries answered", ylim=(0, 1.05), title="How far down one must read")
    curve.legend(loc="lower right", fontsize=9)
    moves.plot([0.8, most * 1.3], [0.8, most * 1.3], color="0.8", zorder=0)
    shake = np.random.default_rng(0).uniform(0.92, 1.08, (2, len(before)))
    moves.scatter(before * shake[0], after * shake[1], s=12, alpha=0.4, color="tab:red", edgecolors="none")
    moves.set(xscale="log", yscale="log", xlim=(0.8, most * 1.3), ylim=(0.8, most * 1.3), xlabel="place by the bi-encoder",
              xticks=(ticks := [at for at in (1, 2, 5, 10, 20, 50) if at <= most]), yticks=ticks, xticklabels=ticks, yticklabels=ticks,
              ylabel="place after re-ranking", title=f"{(after < before).mean():.0%} moved up, {(after > before).mean():.0%} down")
    moves.minorticks_off()
    figure.suptitle(f"Reading query and document together lifts MRR from {reciprocal(before):.2f} to {reciprocal(after):.2f}", fontsize=11)
    figure.savefig(path, dpi=130)
