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
    probability = np.full(len(ids), 1 / len(kept))
    history = np.zeros(len(ids), np.int64)  # the number of the history before each id; of order 1 there is one
    for n in range(order):
        probability, gram = mixed(probability, history, ids[n:], len(train) - n)
        probability, history = probability[1:], gram[:-1]
    return float(-np.log(probability[len(train) - order :]).mean())


def mixed(probability: np.ndarray, history: np.ndarray, ids: np.ndarray, counted: int) -> tuple[np.ndarray, np.ndarray]:
    """What is said of each id [n] by its history and, where that was seen too seldom, by what was said before; the first ids are
    counted. Also the number of each history with its id."""
    grams, firsts, gram = np.unique(history * (ids.max() + 1) + ids, return_index=True, return_inverse=True)
    seen = np.bincount(gram[:counted], minlength=len(grams))
    total = np.bincount(history[:counted], minlength=history.max() + 1)
    kinds = np.bincount(history[firsts[seen > 0]], minlength=history.max() + 1)
    known = (seen[gram] + kinds[history] * probability) / np.maximum(total + kinds, 1)[history]
    return np.where(total[history] > 0, known, probability), gram


def top_1(train: np.ndarray, held_out: np.ndarray, order: int, at_once: int = 1024) -> float:
    """How often the id that the same model finds likeliest is the right one, over all held-out ids but the first ones."""
    ids = np.asarray(train, np.int64)
    vocab = int(max(ids.max(), held_out.max())) + 1
    tables = []
    for n in range(order):
        grams, counts = np.unique(np.lib.stride_tricks.sliding_window_view(ids, n + 1), axis=0, return_counts=True)
        histories, first = np.unique(grams[:, :n], axis=0, return_index=True)
        known = {history.tobytes(): number for number, history in enumerate(histories)}
        tables.append((known, np.append(first, len(grams)), grams[:, n], counts))
    right, windows = 0, np.lib.stride_tricks.sliding_window_view(np.asarray(held_out, np.int64), order)
    for begin in range(0, len(windows), at_once):
        some = windows[begin:begin + at_once]
        chances = np.full((len(some), vocab), 1 / vocab, np.float32)
        for n, (known, first, last, counts) in enumerate(tables):
            number = [known.get(row.tobytes(), -1) for row in np.ascontiguousarray(some[:, order - 1 - n:order - 1])]
            for row, history in enumerate(number):
                if history >= 0:
                    here = slice(first[history], first[history + 1])
                    kinds, total = here.stop - here.start, counts[here].sum()
                    chances[row] *= kinds / (total + kinds)
                    chances[row, last[here]] += counts[here] / (total + kinds)
        right += int((chances.argmax(-1) == some[:, -1]).sum())
    return right / len(windows)


def preferences(train: np.ndarray, histories: np.ndarray, right: np.ndarray, wrong: np.ndarray, order: int) -> np.ndarray:
    """How far counting tells the right id from the wrong one [n]: 1, 0, or .5 where it cannot tell.

    The longest history [n, order - 1] decides after which one of both was seen more often.
    """
    decided = np.full(len(right), 0.5)
    for n in range(1, order + 1):
        grams, counts = np.unique(np.lib.stride_tricks.sliding_window_view(train, n), axis=0, return_counts=True)
        known = {gram.tobytes(): count for gram, count in zip(grams.astype(np.int32), counts, strict=True)}
        before = histories[:, histories.shape[1] - n + 1 :]
        seen = [[known.get(np.append(row, id).astype(np.int32).tobytes(), 0) for row, id in zip(before, ids, strict=True)]
                for ids in (right, wrong)]
        difference = np.array(seen[0]) - np.array(seen[1])
        decided = np.where(difference > 0, 1.0, np.where(difference < 0, 0.0, decided))
    return decided


def babbled(train: np.ndarray, start: int, end: int, count: int, order: int, seed: int, longest: int = 500) -> list[list[int]]:
    """Texts [count] an n-gram model draws: each id as often as it followed the last `order` - 1 ones, from `start` to `end`."""
    random = np.random.default_rng(seed)
    followers: dict[bytes, list[int]] = {}
    ids = np.asarray(train, np.int32)
    for n in range(order):
        for at in range(n, len(ids)):
            followers.setdefault(ids[at - n : at].tobytes(), []).append(int(ids[at]))
    texts = []
    for _ in range(count):
        text = [start]
        while text[-1] != end and len(text) <= longest:
            histories = (np.array(text[len(text) - n :], np.int32).tobytes() for n in range(min(order - 1, len(text)), -1, -1))
            seen = next(followers[history] for history in histories if history in followers)
            text.append(seen[random.integers(len(seen))])
        texts.append(text[1:])
    return texts
