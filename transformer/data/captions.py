"""Pictures and what is said of them as a model's examples: a caption before a picture's codes, or written after looking."""
from collections.abc import Sequence

import numpy as np
from grain import MapDataset

from transformer.data.examples import examples, shifted
from transformer.data.images import Pictures
from transformer.data.tokenizers import Tokenizer
from transformer.mistakes import Mistake


def filled(captions: Sequence[str], tokenizer: Tokenizer, length: int) -> np.ndarray:
    """Captions of one length [n, length], as DALL-E has them: each place that is left over has a token of its own."""
    place = tokenizer.size + np.arange(length)
    rows = [tokenizer.encode(text) for text in captions]
    longest = max(map(len, rows))
    if longest > length:
        raise Mistake(f"a caption has {longest} tokens, but there is room for {length}: give a greater length")
    return np.stack([np.concatenate([row, place[len(row):]]) for row in rows]).astype(np.int32)


def told_pictures(prompts: np.ndarray, codes: np.ndarray, words: int) -> MapDataset:
    """Next-token examples of a caption [n, l] and then the codes of its picture [n, m], numbered after the words; only the
    codes are to be told."""
    rows = np.concatenate([prompts, words + codes], 1)
    return shifted(rows, np.arange(rows.shape[1])[None].repeat(len(rows), 0) >= prompts.shape[1])


def looked_and_written(pictures: Pictures, captions: Sequence[str], tokenizer: Tokenizer, length: int, patch: int) -> MapDataset:
    """An encoder-decoder's examples: `source` is a picture of 0 to 1, the caption and its end are to be written."""
    rows = tokenizer.documents(captions)
    longest = max(map(len, rows))
    if longest > length:
        raise Mistake(f"a caption has {longest} tokens with the one that ends it, but there is room for {length}: give a greater length")
    labels = np.stack([np.pad(row, (0, length - len(row)), constant_values=tokenizer.pad) for row in rows]).astype(np.int32)
    there = np.arange(length)[None] < np.array([len(row) for row in rows])[:, None]
    seen = (pictures.pixels.shape[1] // patch) ** 2 + 1
    return examples(
        source=pictures.pixels.astype(np.float32) / (pictures.levels - 1), present=np.ones((len(rows), seen), bool),
        target=np.pad(labels[:, :-1], ((0, 0), (1, 0)), constant_values=tokenizer.start), labels=labels,
        weights=there.astype(np.float32))


def ended(captions: Sequence[str], tokenizer: Tokenizer, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The tokens of captions with the one that ends them, filled up, and which of them are there [n, length]; a long one is cut."""
    rows = [np.append(tokenizer.encode(text)[:length - 1], tokenizer.end) for text in captions]
    tokens = np.stack([np.pad(row, (0, length - len(row)), constant_values=tokenizer.pad) for row in rows]).astype(np.int32)
    return tokens, tokens != tokenizer.pad


def paired_pictures(pictures: Pictures, captions: Sequence[str], tokenizer: Tokenizer, length: int) -> MapDataset:
    """`tokens` of each caption, ended and filled up, and the `images` of 0 to 1 that they are said of."""
    tokens, present = ended(captions, tokenizer, length)
    return examples(tokens=tokens, present=present, images=pictures.pixels.astype(np.float32) / (pictures.levels - 1))
