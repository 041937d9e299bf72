"""Texts beside each other as examples: some to be compared by their vectors, two to be read as one."""

from collections.abc import Callable, Sequence

import numpy as np
from grain import MapDataset

from transformer.data.examples import Columns, Example, examples, stacked
from transformer.data.tokenizers import Tokenizer


def joined(parts: Sequence[np.ndarray], tokenizer: Tokenizer, length: int) -> Example:
    """[CLS] A [SEP] or [CLS] A [SEP] B [SEP] in `length` places: the last part gives way."""
    begun, kinds = [tokenizer.start], [0]
    for kind, part in enumerate(parts):
        kept = part[: max(length - len(begun) - 1, 0)]
        begun += [*kept.tolist(), tokenizer.end]
        kinds += [kind] * (len(kept) + 1)
    size = min(len(begun), length)
    tokens, sides = np.full(length, tokenizer.pad, np.int32), np.zeros(length, np.int32)
    tokens[:size], sides[:size] = begun[:size], kinds[:size]
    return {"tokens": tokens, "kinds": sides, "present": np.arange(length) < size}


def enclosed(texts: Sequence[str], tokenizer: Tokenizer, length: int) -> Example:
    """[CLS] a text [SEP] in every row: tokens and present [row, length]; a long text loses its end."""
    rows = stacked([joined([ids[:-1]], tokenizer, length) for ids in tokenizer.documents(texts)])
    return {name: rows[name] for name in ("tokens", "present")}


def enclosed_pairs(firsts: Sequence[str], seconds: Sequence[str], tokenizer: Tokenizer, length: int) -> Example:
    """[CLS] one [SEP] other [SEP] in every row, with kinds 0 and 1; a long second text loses its end."""
    both = zip(tokenizer.documents(firsts), tokenizer.documents(seconds), strict=True)
    return stacked([joined([one[:-1], other[:-1]], tokenizer, length) for one, other in both])


def compared(columns: Sequence[Sequence[str]], tokenizer: Tokenizer, length: int, **more: np.ndarray) -> Columns:
    """Texts to be compared, one from each column: tokens and present [column, length]."""
    sides = [enclosed(texts, tokenizer, length) for texts in columns]
    return Columns({name: np.stack([side[name] for side in sides], 1) for name in ("tokens", "present")} | more)


def made_anew(make: Callable[[np.random.Generator], Example], count: int) -> MapDataset:
    """Examples that are made anew in each epoch, so that none can be learned by heart."""
    return examples(at=np.arange(count)).random_map(lambda _, rng: make(rng), seed=5)
