"""Texts beside each other as examples: some to be compared by their vectors, two to be read as one."""

from collections.abc import Callable, Sequence

import numpy as np
from grain import MapDataset

from transformer.data.examples import Columns, Example, examples
from transformer.data.tokenizers import Tokenizer


def enclosed(texts: Sequence[str], tokenizer: Tokenizer, length: int) -> Example:
    """[CLS] a text [SEP] in every row: tokens and present [row, length]; a long text loses its end."""
    tokens = np.full((len(texts), length), tokenizer.pad, np.int32)
    present = np.zeros((len(texts), length), bool)
    for row, ids in enumerate(tokenizer.documents(texts)):
        kept = [tokenizer.start, *ids[:-1][: length - 2], tokenizer.end]
        tokens[row, : len(kept)], present[row, : len(kept)] = kept, True
    return {"tokens": tokens, "present": present}


def enclosed_pairs(firsts: Sequence[str], seconds: Sequence[str], tokenizer: Tokenizer, length: int) -> Example:
    """[CLS] one [SEP] other [SEP] in every row, with kinds 0 and 1; a long second text loses its end."""
    rows = {"tokens": np.full((len(firsts), length), tokenizer.pad, np.int32),
            "present": np.zeros((len(firsts), length), bool), "kinds": np.zeros((len(firsts), length), np.int32)}
    both = zip(tokenizer.documents(firsts), tokenizer.documents(seconds), strict=True)
    for row, (one, other) in enumerate(both):
        begun = [tokenizer.start, *one][: length - 1]
        kept = [*begun, *other[:-1][: length - len(begun) - 1], tokenizer.end]
        rows["tokens"][row, : len(kept)], rows["present"][row, : len(kept)] = kept, True
        rows["kinds"][row, len(begun) : len(kept)] = 1
    return rows


def compared(columns: Sequence[Sequence[str]], tokenizer: Tokenizer, length: int, **more: np.ndarray) -> Columns:
    """Texts to be compared, one from each column: tokens and present [column, length]."""
    sides = [enclosed(texts, tokenizer, length) for texts in columns]
    return Columns({name: np.stack([side[name] for side in sides], 1) for name in ("tokens", "present")} | more)


def made_anew(make: Callable[[np.random.Generator], Example], count: int) -> MapDataset:
    """Examples that are made anew in each epoch, so that none can be learned by heart."""
    return examples(at=np.arange(count)).random_map(lambda _, rng: make(rng), seed=5)
