"""Search and how good it was: word overlap to compare with, vectors that are kept, the places that the right documents got."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from transformer.mistakes import Mistake


def words_of(text: str) -> list[str]:
    """Words as a search engine sees them: lower case, without punctuation, names_with_parts and CamelCase taken apart."""
    return re.findall(r"[^\W\d_]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).casefold())


def tf_idf(queries: Sequence[str], documents: Sequence[str]) -> np.ndarray:
    """The cosine [query, document] of word counts, rare words weighing more: what a search by words finds."""
    column = {word: at for at, word in enumerate(sorted({word for text in documents for word in words_of(text)}))}
    tables = [_counts(texts, column) for texts in (queries, documents)]
    rarity = np.log((1 + len(documents)) / (1 + (tables[1] > 0).sum(0))) + 1
    asked, there = (_unit(np.log1p(table) * rarity) for table in tables)
    return asked @ there.T


def _counts(texts: Sequence[str], column: dict[str, int]) -> np.ndarray:
    table = np.zeros((len(texts), len(column)), np.float32)
    for row, text in enumerate(texts):
        for word in words_of(text):
            if word in column:
                table[row, column[word]] += 1
    return table


def overlap(one: str, other: str) -> float:
    """The share of their words that two texts have in common."""
    ones, others = set(words_of(one)), set(words_of(other))
    return len(ones & others) / max(len(ones | others), 1)


def guess(question: str, passage: str) -> str:
    """An answer by words alone: of the sentence that shares most with the question, the longest run that the question lacks."""
    asked = set(words_of(question))
    best = max(re.split(r"(?<=[.!?])\s+", passage), key=lambda sentence: len(asked.intersection(words_of(sentence))))
    runs = groupby(best.split(), lambda word: asked.isdisjoint(words_of(word)))
    return max((" ".join(run) for new, run in runs if new), key=len, default="").strip(".,;:!?")


def places(scores: np.ndarray, truth: Sequence[int] | np.ndarray) -> np.ndarray:
    """The place of the right document, 1 being the first; of equal scores, half count as better."""
    right = scores[np.arange(len(truth)), np.asarray(truth)][:, None]
    return 1 + (scores > right).sum(1) + ((scores == right).sum(1) - 1) / 2


def recall(places: np.ndarray, first: float) -> float:
    """How often the right document is among the first so many."""
    return float((places <= first).mean())


def reciprocal(places: np.ndarray) -> float:
    """MRR: the mean of one over the place."""
    return float((1 / places).mean())


def discounted(places: np.ndarray) -> float:
    """nDCG with one right document for each query."""
    return float((1 / np.log2(1 + places)).mean())


def found_by_words(queries: Sequence[str], documents: Sequence[str], truth: Sequence[int] | np.ndarray, ranked: bool = False) -> float:
    """What TF-IDF reaches: how often it has the right document first; or, if `ranked`, its MRR."""
    found = places(tf_idf(queries, documents), truth)
    return reciprocal(found) if ranked else recall(found, 1)


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of ranks, ties sharing theirs; none, where all are tied."""
    ranks = [_ranks(values) for values in (one, other)]
    return float(np.corrcoef(ranks)[0, 1]) if all(map(np.ptp, ranks)) else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[where]


@dataclass(frozen=True)
class Index:
    """Documents and their vectors, encoded once: searched by the largest products."""

    documents: list[str]
    vectors: np.ndarray

    def save(self, path: Path) -> None:
        np.savez(path, vectors=self.vectors, documents=np.array(self.documents))

    @classmethod
    def load(cls, path: Path) -> "Index":
        try:
            kept = np.load(path)
            return cls(kept["documents"].tolist(), kept["vectors"])
        except (OSError, ValueError, KeyError):
            raise Mistake(f"{path} holds no vectors and documents; give an .npz that was saved by an Index") from None

    def search(self, vectors: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
        """The best documents of each query [query, most] by number, and their scores."""
        scores = vectors @ self.vectors.T
        best = np.argsort(-scores, axis=1, kind="stable")[:, :most]
        return best, np.take_along_axis(scores, best, 1)


def _unit(table: np.ndarray) -> np.ndarray:
    return table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
