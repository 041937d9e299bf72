"""Sources and what should be written for each: an encoder-decoder's examples, padded to one shape."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from grain import MapDataset

from transformer.data import files, sources
from transformer.data.examples import Example, examples, stacked
from transformer.data.tokenizers import Tokenizer
from transformer.mistakes import Mistake


def pairs(asked: Sequence[str], answers: Sequence[str], tokenizer: Tokenizer, most: Sequence[int | None] = (None, None)) -> MapDataset:
    """One example for each source and its target, as long as the longest of them and an end token; those beyond `most` are cut."""
    sides = [[_cut(ids, length) for ids in tokenizer.documents(texts)] for texts, length in zip((asked, answers), most, strict=True)]
    read, wrote = (max(map(len, side)) for side in sides)
    rows = [pair(source, target, read, wrote, tokenizer) for source, target in zip(*sides, strict=True)]
    return examples(**stacked(rows))


def hinted(asked: Sequence[str], answers: Sequence[str], tokenizer: Tokenizer, most: tuple[int, int]) -> MapDataset:
    """Answers of which some words are strewn into the first ones of what is asked: so a reader learns to look there for them.

    How many, and into how many, is another chance each time.
    """
    read, wrote = most

    def strewn(one: Example, random: np.random.Generator) -> Example:
        at, share = int(one["at"]), random.random()
        words, answer = asked[at].split()[:random.integers(read // 2)], answers[at]
        for word in answer.split():
            if random.random() < share:
                words.insert(int(random.integers(len(words) + 1)), word)
        source, target = tokenizer.documents([" ".join(words), answer])
        return pair(_cut(source, read), _cut(target, wrote), read, wrote, tokenizer)

    return examples(at=np.arange(len(asked))).random_map(strewn, seed=3)


def _cut(ids: np.ndarray, length: int | None) -> np.ndarray:
    return ids if length is None or len(ids) <= length else np.append(ids[:length - 1], ids[-1])


def pair(source: np.ndarray, target: np.ndarray, source_length: int, target_length: int, tokenizer: Tokenizer) -> Example:
    """One example of two texts that end in the end token; the decoder is fed the start token and the target but its last."""
    for name, ids, length in (("source", source, source_length), ("target", target, target_length)):
        if len(ids) > length:
            raise Mistake(f"A {name} has {len(ids)} tokens with the one that ends it, but there is room for {length}: give more.")
    missing = target_length - len(target)
    labels = np.pad(target, (0, missing), constant_values=tokenizer.pad).astype(np.int32)
    return {
        "source": np.pad(source, (0, source_length - len(source)), constant_values=tokenizer.pad).astype(np.int32),
        "present": np.arange(source_length) < len(source),
        "target": np.concatenate([[tokenizer.start], labels[:-1]]).astype(np.int32),
        "labels": labels,
        "weights": (np.arange(target_length) < len(target)).astype(np.float32),
    }


def parallel(path: Path) -> list[tuple[list[str], list[str]]]:
    """The user's own pairs, to learn from and held out: of each the sources, and their targets. No source is on both sides."""
    found = files.pairs(path)
    asked = [pair.first for pair in found]
    if len(set(asked)) < 2:
        raise Mistake(f"{path} holds pairs of one source: give at least two, to learn from and to hold out.")
    away = set(sources.split(asked)[1])
    sides = ([pair for pair in found if (pair.first in away) == out] for out in (False, True))
    return [([pair.first for pair in side], [pair.second for pair in side]) for side in sides]


def prefixed(asked: Sequence[str], answers: Sequence[str], tokenizer: Tokenizer, whole: bool = False) -> MapDataset:
    """The same for a decoder alone: what is asked, the start token, the answer. It learns to write the answer, or the `whole`."""
    rows = [(np.append(ask[:-1], tokenizer.start), answer)
            for ask, answer in zip(tokenizer.documents(asked), tokenizer.documents(answers), strict=True)]
    longest = max(len(ask) + len(answer) for ask, answer in rows)
    lines = np.stack([np.pad(np.concatenate(row), (0, longest - sum(map(len, row))), constant_values=tokenizer.pad) for row in rows])
    place = np.arange(longest)[None]
    begins, ends = (np.asarray([count(row) for row in rows])[:, None] for count in (lambda row: len(row[0]), lambda row: sum(map(len, row))))
    weights = (place < ends) & (whole | (place >= begins))
    return examples(tokens=lines[:, :-1].astype(np.int32), targets=lines[:, 1:].astype(np.int32), weights=weights[:, 1:].astype(np.float32))
