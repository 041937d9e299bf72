"""Prompts for a decoder: a passage, questions about it, and after each its answer and an end, which alone are to be learned."""

from collections.abc import Sequence

import numpy as np

from transformer.data.examples import Example, stacked
from transformer.data.tokenizers import Tokenizer
from transformer.mistakes import Mistake


def prompt(passage: str, asked: Sequence[tuple[str, str]], tokenizer: Tokenizer, length: int) -> Example:
    """Next-token examples, in which the answers have weight one and all else zero."""
    parts = [(passage, 0.0)] + [(text, weight) for question, answer in asked for text, weight in ((question, 0.0), (answer, 1.0))]
    ids, weights = [tokenizer.start], [0.0]
    for text, weight in parts:
        own = tokenizer.encode(text).tolist() + [tokenizer.end] * (weight > 0)
        ids += own
        weights += [weight] * len(own)
    if len(ids) > length + 1:
        raise Mistake(f"A passage with its questions has {len(ids)} tokens, but there is room for {length + 1}: give a greater length.")
    missing = length + 1 - len(ids)
    row = np.pad(np.array(ids, np.int32), (0, missing), constant_values=tokenizer.pad)
    return {"tokens": row[:-1], "targets": row[1:], "weights": np.pad(np.array(weights, np.float32), (0, missing))[1:]}


def prompts(passages: Sequence[str], asked: Sequence[tuple[str, str]], tokenizer: Tokenizer, length: int) -> Example:
    """One question for each passage, as rows."""
    rows = [prompt(passage, [one], tokenizer, length) for passage, one in zip(passages, asked, strict=True)]
    return stacked(rows)
