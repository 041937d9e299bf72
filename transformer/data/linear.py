"""What a linear model can do: the baseline of every classifier, and the probe of every vector."""

from collections import Counter
from collections.abc import Sequence

import numpy as np


def logistic(learned: np.ndarray, labels: np.ndarray, asked: np.ndarray, decay: float = 1e-4, steps: int = 300) -> np.ndarray:
    """The classes that logistic regression on rows of features, made of equal size, gives to other rows."""
    mean, size = learned.mean(0), learned.std(0) + 1e-3
    known, unseen = ((np.pad((x - mean) / size, ((0, 0), (0, 1)), constant_values=1.0)).astype(np.float32) for x in (learned, asked))
    wanted = np.eye(labels.max() + 1, dtype=np.float32)[labels]
    # The largest curvature there can be: the steps then never overshoot, and momentum makes them few.
    vector = np.ones(known.shape[1], np.float32)
    for _ in range(20):
        vector = known.T @ (known @ (vector / np.linalg.norm(vector)))
    rate = 1 / (0.5 * float(np.linalg.norm(vector)) / len(known) + decay)
    weights = ahead = np.zeros((known.shape[1], wanted.shape[1]), np.float32)
    for step in range(steps):
        logits = known @ ahead
        chances = np.exp(logits - logits.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        new = ahead - rate * (known.T @ (chances - wanted) / len(known) + decay * ahead)
        weights, ahead = new, new + step / (step + 3) * (new - weights)
    return (unseen @ weights).argmax(1)


def bags(texts: Sequence[Sequence[str]], order: int, known: Sequence[tuple[str, ...]]) -> np.ndarray:
    """How often each known n-gram of up to `order` words is in each text."""
    column = {gram: place for place, gram in enumerate(known)}
    table = np.zeros((len(texts), len(column)), np.float32)
    for row, words in enumerate(texts):
        for gram in grams(words, order):
            if gram in column:
                table[row, column[gram]] += 1
    return table


def grams(words: Sequence[str], order: int) -> list[tuple[str, ...]]:
    """All n-grams of a text, whose ends are marked."""
    ended = ["<", *words, ">"]
    return [tuple(ended[at : at + n]) for n in range(1, order + 1) for at in range(len(ended) - n + 1)]


def bag_accuracy(
    learned: Sequence[Sequence[str]], labels: np.ndarray, asked: Sequence[Sequence[str]], truth: np.ndarray, order: int,
    most: int = 4000,
) -> float:
    """The accuracy of logistic regression on the most frequent n-grams of up to `order` words."""
    counts = Counter(gram for words in learned for gram in grams(words, order))
    known = [gram for gram, _ in counts.most_common(most)]
    given = logistic(bags(learned, order, known), labels, bags(asked, order, known))
    return float((given == truth).mean())
