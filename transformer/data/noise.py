"""BART's five noises (Lewis et al. 2019), each from a document's tokens to what is left of them, and examples that undo them."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from grain import MapDataset

from transformer.data.examples import Example, examples, stacked
from transformer.data.pairs import pair
from transformer.data.tokenizers import Tokenizer

Noise = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def mask(tokens: np.ndarray, random: np.random.Generator, sign: int, rate: float = 0.3) -> np.ndarray:
    """A share of the tokens becomes the mask."""
    return np.where(random.random(len(tokens)) < rate, sign, tokens)


def delete(tokens: np.ndarray, random: np.random.Generator, rate: float = 0.2) -> np.ndarray:
    """A share of the tokens is gone: where from must be found out."""
    return tokens[random.random(len(tokens)) >= rate]


def infill(tokens: np.ndarray, random: np.random.Generator, sign: int, rate: float = 0.3, mean: float = 3.0) -> np.ndarray:
    """Spans with lengths from a Poisson distribution become one mask each, until that share is gone; a span may be empty."""
    span, budget, spans = np.full(len(tokens), -1), round(rate * len(tokens)), 0
    empty = []
    while budget > 0:
        length = min(int(random.poisson(mean)), budget)
        if length == 0:
            empty.append(random.integers(len(tokens) + 1))
            continue
        free = np.convolve(span < 0, np.ones(length, int), "valid") == length
        if free.any():
            start = random.choice(np.flatnonzero(free))
            span[start:start + length] = spans
        budget, spans = budget - length, spans + 1
    begins = (span >= 0) & (span != np.concatenate([[-1], span[:-1]]))
    left = np.insert(np.where(begins, sign, tokens), empty, sign)
    return left[np.insert((span < 0) | begins, empty, True)]


def permute(tokens: np.ndarray, random: np.random.Generator, stop: int) -> np.ndarray:
    """Its sentences, each up to a full stop, in another order."""
    sentences = np.split(tokens, np.flatnonzero(tokens[:-1] == stop) + 1)
    return np.concatenate([sentences[place] for place in random.permutation(len(sentences))])


def rotate(tokens: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """It begins with any of its tokens, and what came before that one comes last."""
    return np.roll(tokens, -random.integers(len(tokens)))


def noises(tokenizer: Tokenizer, stop: str = ".") -> dict[str, Noise]:
    """All five by name."""
    sign, full_stop = tokenizer.mask, int(tokenizer(stop)[-1])
    return {
        "mask": lambda tokens, random: mask(tokens, random, sign),
        "delete": delete,
        "infill": lambda tokens, random: infill(tokens, random, sign),
        "permute": lambda tokens, random: permute(tokens, random, full_stop),
        "rotate": rotate,
    }


def restored(texts: Sequence[str], kinds: Mapping[str, Noise], tokenizer: Tokenizer, room: int = 8) -> MapDataset:
    """Each text to be restored from one of the noises, another one in each epoch; empty spans make a source longer by up to `room`."""
    documents, choices = tokenizer.documents(texts), list(kinds.values())
    longest = max(map(len, documents))

    def corrupt(example: Example, random: np.random.Generator) -> Example:
        kind = choices[random.integers(len(choices))]
        return _restored(documents[example["at"]], kind, random, longest, tokenizer, room)

    return examples(at=np.arange(len(documents))).random_map(corrupt, seed=1)


def each_restored(texts: Sequence[str], kinds: Mapping[str, Noise], tokenizer: Tokenizer, room: int = 8) -> tuple[MapDataset, list[str]]:
    """Each text under each of the noises, always the same, and the names of the noises."""
    documents, random = tokenizer.documents(texts), np.random.default_rng(0)
    longest = max(map(len, documents))
    rows = [_restored(tokens, kind, random, longest, tokenizer, room) for tokens in documents for kind in kinds.values()]
    return examples(**stacked(rows)), list(kinds) * len(documents)


def _restored(document: np.ndarray, kind: Noise, random: np.random.Generator, longest: int, tokenizer: Tokenizer, room: int) -> Example:
    source = np.append(kind(document[:-1], random), tokenizer.end)
    return pair(source, document, longest + room, longest, tokenizer)
