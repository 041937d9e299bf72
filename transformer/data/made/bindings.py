"""Who lives where: documents of four pairs, queries of two of them. The same names, paired otherwise, are another document.

A vector of few numbers tells which names a document has, not how they are paired; who reads query and document together can.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


WHO = _words(
    "anna ben clara david emma felix grace hugo irene jack kate leo maria noah olga peter quinn rosa sam tina umar vera walter zoe")
WHERE = _words(
    "rome paris oslo cairo lima delhi tokyo quito berlin madrid dublin vienna athens havana boston sydney nairobi lisbon prague "
    "warsaw riga bern kiev baku")
PAIRS = 4


@dataclass(frozen=True)
class Document:
    who: tuple[int, ...]
    where: tuple[int, ...]

    @property
    def held_out(self) -> bool:
        """One in five sets of names, however they are paired."""
        return zlib.crc32(repr((sorted(self.who), sorted(self.where))).encode()) % 5 == 0

    def told(self, order: Iterable[int]) -> str:
        """The pairs of these numbers, in words."""
        return " ".join(f"{WHO[self.who[at]]} {WHERE[self.where[at]]}" for at in order)

    def answers(self, other: "Document", asked: np.ndarray) -> bool:
        """Whether the pairs that were asked of another document are here as well."""
        own = set(zip(self.who, self.where, strict=True))
        return all((other.who[at], other.where[at]) in own for at in asked)


def document(rng: np.random.Generator, held_out: bool = False) -> Document:
    while True:
        who, where = (rng.choice(len(names), PAIRS, replace=False) for names in (WHO, WHERE))
        found = Document(tuple(map(int, who)), tuple(map(int, where)))
        if found.held_out == held_out:
            return found


def repaired(rng: np.random.Generator, one: Document, asked: np.ndarray) -> Document:
    """The same names in other pairs, so that what was asked is not there any more."""
    while True:
        other = Document(one.who, tuple(one.where[at] for at in rng.permutation(PAIRS)))
        if not other.answers(one, asked):
            return other


def told(rng: np.random.Generator, one: Document) -> str:
    return one.told(rng.permutation(PAIRS))


def triple(rng: np.random.Generator) -> tuple[str, str, str]:
    """A query, its document, and one of the same names that does not answer it."""
    one, asked = document(rng), rng.permutation(PAIRS)[:2]
    return one.told(asked), told(rng, one), told(rng, repaired(rng, one, asked))


def judged(rng: np.random.Generator) -> tuple[str, str, float]:
    """A query, a document, and whether that answers it: half do; of the others half have the same names."""
    query, right, wrong = triple(rng)
    if rng.random() < 0.5:
        return query, right, 1.0
    return query, wrong if rng.random() < 0.5 else told(rng, document(rng)), 0.0


def library(rng: np.random.Generator, documents: int, queries: int, versions: int = 5) -> tuple[list[str], list[str], np.ndarray]:
    """Held-out documents, each in some more pairings, queries, and the number of the one document that answers each."""
    texts, asks, truth = [], [], []
    for _ in range(documents // versions):
        one, asked = document(rng, held_out=True), rng.permutation(PAIRS)[:2]
        asks.append(one.told(asked))
        truth.append(len(texts))
        texts += [told(rng, one), *(told(rng, repaired(rng, one, asked)) for _ in range(versions - 1))]
    return texts, asks[:queries], np.array(truth[:queries])


def every_word() -> list[str]:
    """A text in which every word occurs, to make a tokenizer from."""
    return [" ".join((*WHO, *WHERE))]
