"""Span corruption of a Markov source: the best any model could do, exactly; and tasks for which its likelihoods must be known.

Symbols are written as words, `s00 s01 ...`, so that corruption and tasks are the same text to text for one tokenizer.
"""
from dataclasses import dataclass
from math import log

import numpy as np
from grain import MapDataset

from transformer.data.corruption import uncorrupted
from transformer.data.examples import example
from transformer.data.made.markov import Markov
from transformer.data.tokenizers import Tokenizer, spaced

TASKS = ("next", "fill", "odd")
GAP = "<extra_id_0>"  # T5 has learned to say what stands there


@dataclass(frozen=True)
class Task:
    """What is asked, with the task's name in front, and the one right answer."""

    source: str
    target: str
    kind: str


def words(symbols: int) -> list[str]:
    return [f"s{symbol:02d}" for symbol in range(symbols)]


def tokenizer(symbols: int) -> Tokenizer:
    """Of the symbols, the names of the tasks, and marks for what was cut out."""
    return spaced([*words(symbols), *TASKS, ":"], sentinels=16)


def text(source: Markov, length: int, seed: int, tokenizer: Tokenizer) -> np.ndarray:
    """So many of a source's symbols as tokens."""
    return tokenizer(" ".join(words(source.symbols)))[source.sample(1, length, seed)[0]]


def best(source: Markov, corrupted: MapDataset, tokenizer: Tokenizer) -> float:
    """The least nats per label that any model could reach on corrupted texts of a source."""
    rows = [example(corrupted, row) for row in range(len(corrupted))]
    tokens, is_noise = (np.stack(part) for part in zip(*(uncorrupted(row, tokenizer) for row in rows), strict=True))
    symbols = {token: symbol for symbol, token in enumerate(tokenizer(" ".join(words(source.symbols))).tolist())}
    return optimum(source, np.vectorize(symbols.__getitem__)(tokens), is_noise) / len(rows[0]["labels"])


def optimum(source: Markov, texts: np.ndarray, is_noise: np.ndarray) -> float:
    """Nats for all that must be written of each text, on average: what was cut out, and how long each span was.

    Of texts [n, t] the noise is cut out, whole spans of which the last one ends the text. How many tokens are cut out in how
    many spans is known, and every division of the ones into the others is as likely: hence the sum over all of them, by
    a forward pass over spans and tokens used up.
    """
    found = [_bits(source, text, noise) for text, noise in zip(texts, is_noise, strict=True)]
    return float(np.mean(found))


def _bits(source: Markov, text: np.ndarray, noise: np.ndarray) -> float:
    """-log P(what was cut out | what was kept), where all that was kept before the first span cancels."""
    begins = np.flatnonzero(noise & ~np.concatenate([[False], noise[:-1]]))
    ends = np.flatnonzero(noise & ~np.concatenate([noise[1:], [False]])) + 1
    assert ends[-1] == len(text)
    total = int(noise.sum())
    powers = [source.table]
    for _ in range(total):
        powers.append(powers[-1] @ source.table)
    used = np.zeros(total + 1)
    used[0] = 1.0
    for begin, end in zip(begins[:-1], ends[:-1], strict=True):
        across = np.asarray([0.0, *(powers[length][text[begin - 1], text[end]] for length in range(1, total))])
        used = np.convolve(used, across)[:total + 1]
    kept = used[:total].sum()  # at least one token is left for the last span, and nothing is known of what follows it
    steps = np.log(source.table[text[:-1], text[1:]])
    said = sum(steps[begin - 1:min(end, len(text) - 1)].sum() for begin, end in zip(begins, ends, strict=True))
    return float(log(kept) - said)


def tasks(source: Markov, count: int, length: int, seed: int, but: frozenset[str] = frozenset()) -> list[Task]:
    """Different questions about texts of a source, of each kind alike: what most likely comes next, stands in a gap, or is out of place."""
    random, found = np.random.default_rng(seed), dict[str, Task]()
    names = words(source.symbols)
    texts = iter(source.sample(8 * count + 100, length, seed))
    while len(found) < count:
        text, kind = next(texts), TASKS[len(found) % len(TASKS)]
        at = int(random.integers(1, length - 1))
        asked = [names[symbol] for symbol in text]
        if kind == "next":
            answer = int(source.table[text[-1]].argmax())
            asked.append(GAP)
        elif kind == "fill":
            answer = int((source.table[text[at - 1]] * source.table[:, text[at + 1]]).argmax())
            asked[at] = GAP
        else:
            fits = source.table[text[at - 1]] * source.table[:, text[at + 1]]
            answer = int(fits.argmin()) if fits.min() < 1e-3 else -1
            around = source.table[text[:-2], text[1:-1]] * source.table[text[1:-1], text[2:]]
            if answer < 0 or answer in text or np.delete(around, at - 1).min() < fits[answer]:
                continue
            asked[at] = names[answer]
        one = Task(f"{kind} : {' '.join(asked)}", names[answer] if kind == "odd" else f"{GAP} {names[answer]}", kind)
        if one.source not in but:
            found[one.source] = one
    return list(found.values())
