"""The baseline of every language model here: an n-gram model, counted and interpolated by Witten and Bell's rule."""

import numpy as np

from transformer.mistakes import Mistake


def witten_bell(train: np.ndarray, held_out: np.ndarray, order: int) -> float:
    """Nats per token of the held-out ids, each predicted from the `order` - 1 ids before it.

    P(w | h) = (count(h w) + kinds(h) P(w | shorter h)) / (count(h) + kinds(h)), where kinds(h) is how many different
    ids were seen after h; below the unigram lies the uniform distribution over the ids that occur.
    """
    if len(train) < order or not len(held_out):
        raise Mistake(f"An order of {order} cannot be counted on {len(train)} ids and tried on {len(held_out)}.")
    kept, ids = np.unique(np.concatenate([train, held_out]), return_inverse=True)
    probability = np.full(len(held_out), 1 / len(kept))
    history = np.zeros(len(ids), np.int64)  # the number of the history before each id; of order 1 there is one
    for n in range(order):
        grams, firsts, gram = np.unique(history * len(kept) + ids[n:], return_index=True, return_inverse=True)
        counted = slice(0, len(train) - n)
        tried = slice(len(train) - n, None)

        seen = np.bincount(gram[counted], minlength=len(grams))
        total = np.bincount(history[counted], minlength=history.max() + 1)
        kinds = np.bincount(history[firsts[seen > 0]], minlength=history.max() + 1)

        before = history[tried]
        known = total[before] > 0
        mixed = seen[gram[tried]] + kinds[before] * probability
        probability = np.where(known, mixed / np.maximum(total + kinds, 1)[before], probability)
        history = gram[:-1]
    return float(-np.log(probability).mean())
