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


def autoregression(learned: np.ndarray, held_out: np.ndarray, order: int, decay: float = 1e-6) -> float:
    """The squared error of telling each frame [n, t, bands] but the first as a linear map of the `order` frames before it.

    Before the first frame of a row there were others like it.
    """

    def before(rows: np.ndarray) -> np.ndarray:
        longer = np.concatenate([np.repeat(rows[:, :1], order - 1, 1), rows], 1)
        seen = np.concatenate([longer[:, at:at + rows.shape[1] - 1] for at in range(order)], -1)
        return np.pad(seen.reshape(-1, seen.shape[-1]), ((0, 0), (0, 1)), constant_values=1.0).astype(np.float64)

    known, wanted = before(learned), learned[:, 1:].reshape(-1, learned.shape[-1])
    weights = np.linalg.solve(known.T @ known + decay * len(known) * np.eye(known.shape[1]), known.T @ wanted)
    return float(np.square(before(held_out) @ weights - held_out[:, 1:].reshape(-1, held_out.shape[-1])).mean())


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
