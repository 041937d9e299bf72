"""T5's span corruption: sentinels stand for the spans that were cut out, and the target says what they were."""

import numpy as np
from grain import MapDataset

from transformer.data.examples import Example, examples
from transformer.data.tokenizers import Tokenizer
from transformer.mistakes import Mistake


def span_corruption(
    ids: np.ndarray, tokenizer: Tokenizer, length: int, rate: float = 0.15, mean_span: float = 3.0
) -> MapDataset:
    """Sources of exactly `length` tokens with a share of their text cut out, other spans in each epoch.

    As many tokens are taken at a time as fill source and target to the last place, both closed by the end token, so
    nothing is padded or lost. The last example reaches back into the one before where the text ends inside it.
    """
    chunk, target = corrupted_lengths(length, rate, mean_span)
    noise, spans = _noise(chunk, rate, mean_span)
    if len(ids) < chunk:
        raise Mistake(
            f"The text has {len(ids)} tokens, but a source of length {length} is made from {chunk}: "
            "give more text or a smaller length."
        )
    if len(tokenizer.sentinels) < spans:
        raise Mistake(
            f"A source of length {length} needs {spans} sentinels, but this tokenizer has {len(tokenizer.sentinels)}: "
            f"make it with unigrams(texts, vocab, sentinels={spans})."
        )
    sentinels, start, end = tokenizer.sentinels[:spans], tokenizer.start, tokenizer.end
    starts = np.minimum(np.arange(0, len(ids), chunk), len(ids) - chunk)
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(ids, np.int32), chunk)

    def corrupt(example: Example, rng: np.random.Generator) -> Example:
        # Text and noise take turns, text first; a sentinel stands in the source for the noise, in the target before it.
        tokens = windows[example["at"]]
        kept, cut = _parts(chunk - noise, spans, rng), _parts(noise, spans, rng)
        is_noise = np.repeat(np.tile([False, True], spans), np.stack([kept, cut], axis=1).ravel())
        source = np.insert(tokens[~is_noise], np.cumsum(kept), sentinels)
        labels = np.insert(tokens[is_noise], np.cumsum(cut) - cut, sentinels)
        labels = np.append(labels, end).astype(np.int32)
        return {
            "source": np.append(source, end).astype(np.int32),
            "present": np.ones(length, bool),
            "target": np.concatenate([[start], labels[:-1]]).astype(np.int32),
            "labels": labels,
            "weights": np.ones(target, np.float32),
        }

    return examples(at=starts).random_map(corrupt, seed=1)


def uncorrupted(example: Example, tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """The tokens that a source and its labels were made from, and which of them were cut out."""
    cut = np.isin(example["labels"], tokenizer.sentinels)
    spans = {part[0]: part[1:] for part in np.split(example["labels"][:-1], np.flatnonzero(cut))[1:]}
    parts = [(spans[token], True) if token in spans else ([token], False) for token in example["source"][:-1]]
    return (np.concatenate([tokens for tokens, _ in parts]).astype(np.int32),
            np.concatenate([np.full(len(tokens), noise) for tokens, noise in parts]))


def corrupted_lengths(length: int, rate: float = 0.15, mean_span: float = 3.0) -> tuple[int, int]:
    """How many tokens of text make a source of `length`, and the length of its target: 512 gives 568 and 114."""
    if not 0 < rate < 1 or mean_span < 1 or length < 4:
        raise Mistake(
            f"Cannot corrupt a share of {rate} in spans of {mean_span} for a source of length {length}: "
            "the share must lie between 0 and 1, a span be at least 1 and the length at least 4."
        )

    def source_length(tokens: int) -> int:
        noise, spans = _noise(tokens, rate, mean_span)
        return tokens - noise + spans + 1

    tokens = 2
    while source_length(tokens + 1) <= length:
        tokens += 1
    noise, spans = _noise(tokens, rate, mean_span)
    return tokens, noise + spans + 1


def _noise(tokens: int, rate: float, mean_span: float) -> tuple[int, int]:
    """How many tokens are cut out, in how many spans."""
    noise = min(max(round(tokens * rate), 1), tokens - 1)
    spans = min(max(round(noise / mean_span), 1), noise, tokens - noise)
    return noise, spans


def _parts(total: int, parts: int, rng: np.random.Generator) -> np.ndarray:
    """Sizes, of one at least, of a random division of the total into parts."""
    cuts = np.sort(rng.permutation(total - 1)[: parts - 1]) + 1
    return np.diff(cuts, prepend=0, append=total)
