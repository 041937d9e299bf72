"""BERT's two tasks: words to guess from both sides, and whether one sentence really follows another."""

import re
from collections.abc import Sequence

import numpy as np
from grain import MapDataset

from transformer.data.examples import Example, example, examples, stacked
from transformer.data.tokenizers import Tokenizer
from transformer.mistakes import Mistake


def masked_sentences(
    documents: Sequence[str], tokenizer: Tokenizer, length: int, rate: float = 0.15, whole_words: bool = False,
    swapped: float = 0.0,
) -> MapDataset:
    """BERT's pretraining examples: pairs of sentences with some of their words masked."""
    return masked(sentence_pairs(documents, tokenizer, length, swapped), tokenizer, rate, whole_words)


def masked(dataset: MapDataset, tokenizer: Tokenizer, rate: float = 0.15, whole_words: bool = False) -> MapDataset:
    """Hide a share of the tokens, other ones in each epoch: 80 % become the mask, 10 % a random token, 10 % stay.

    Special tokens are never chosen, nor what an example says is not present. The chosen positions are gathered in a
    fixed number of slots, those left over weighing nothing; next-token targets are dropped.
    """
    mask, special, continues = tokenizer.mask, tokenizer.special, tokenizer.continues
    ordinary = np.flatnonzero(~special).astype(np.int32)

    def hide(example: Example, rng: np.random.Generator) -> Example:
        tokens = example["tokens"].copy()
        present = example.get("present", tokens != tokenizer.pad)
        free = np.flatnonzero(present & ~special[tokens])
        chosen = _choose(free, continues[tokens[free]] & whole_words, round(rate * len(free)), rng)
        labels = tokens[chosen]

        dice = rng.random(len(chosen))
        other = ordinary[rng.integers(len(ordinary), size=len(chosen))]
        tokens[chosen] = np.where(dice < 0.8, mask, np.where(dice < 0.9, other, labels))

        slots = max(1, round(rate * len(tokens)))
        kept = {name: value for name, value in example.items() if name != "targets"}
        return kept | {
            "tokens": tokens,
            "present": present,
            "masked": _padded(chosen.astype(np.int32), slots),
            "labels": _padded(labels, slots),
            "weights": _padded(np.ones(len(chosen), np.float32), slots),
        }

    return dataset.random_map(hide, seed=2)


def sentence_pairs(documents: Sequence[str], tokenizer: Tokenizer, length: int, swapped: float = 0.0) -> MapDataset:
    """[CLS] A [SEP] B [SEP], where half of the time B follows A and otherwise comes from another document.

    `swapped`: the share of those others where instead A and B have changed places, as in ALBERT.

    An example owns a chunk: enough consecutive sentences of one document to fill it, at least two, which are cut into
    A and B between two sentences, elsewhere in each epoch. A foreign B is the B of another document's chunk, so that
    its length and place say nothing.
    """
    room = length - 3
    if room < 2:
        raise Mistake(f"A pair of sentences does not fit into length {length}: give at least 5.")
    ids, ends, chunks, owner = _chunks(documents, tokenizer, room)
    first_of, last_of = np.searchsorted(owner, owner, "left"), np.searchsorted(owner, owner, "right")
    if not len(owner) or owner[0] == owner[-1]:
        raise Mistake(
            f"Sentence pairs need two documents of at least two sentences, but of {len(documents)} given "
            f"{len(set(owner.tolist()))} have so many: split the text into documents."
        )
    start, end = tokenizer.start, tokenizer.end

    def pair(example: Example, rng: np.random.Generator) -> Example:
        def cut(chunk: int) -> tuple[np.ndarray, np.ndarray]:
            first, last = chunks[chunk]
            middle = rng.integers(first + 1, last)
            return ids[ends[first] : ends[middle]], ids[ends[middle] : ends[last]]

        chunk = int(example["chunk"])
        before, after = cut(chunk)
        follows = rng.random() < 0.5
        if not follows and rng.random() < swapped:
            before, after = after, before
        elif not follows:
            low, high = first_of[chunk], last_of[chunk]
            other = int(rng.integers(len(chunks) - (high - low)))
            after = cut(other if other < low else other + high - low)[1]

        # The longer one gives way: A at its beginning and B at its end, so that they still meet where they met.
        ahead = min(len(before), max(room - len(after), room // 2))
        before, after = before[len(before) - ahead :], after[: room - ahead]
        size = len(before) + len(after) + 3
        tokens = np.full(length, tokenizer.pad, np.int32)
        tokens[:size] = np.concatenate([[start], before, [end], after, [end]])
        place = np.arange(length)
        return {
            "tokens": tokens,
            "kinds": ((place >= len(before) + 2) & (place < size)).astype(np.int32),
            "present": place < size,
            "follows": np.array(follows, np.int32),
        }

    return examples(chunk=np.arange(len(chunks))).random_map(pair, seed=1)


def full_sentences(documents: Sequence[str], tokenizer: Tokenizer, length: int) -> MapDataset:
    """[CLS] text [SEP], as RoBERTa has them: filled to the last place, across the ends of sentences and documents."""
    room = length - 2
    ids = tokenizer(documents)
    if len(ids) < room:
        raise Mistake(f"The text has {len(ids)} tokens, but a row of length {length} takes {room}: give more text or a smaller length.")
    rows = ids[: len(ids) // room * room].reshape(-1, room)
    tokens = np.pad(np.pad(rows, ((0, 0), (1, 0)), constant_values=tokenizer.start), ((0, 0), (0, 1)), constant_values=tokenizer.end)
    return examples(tokens=tokens.astype(np.int32), present=np.ones(tokens.shape, bool))


def fixed(dataset: MapDataset) -> MapDataset:
    """The random steps of a dataset taken once and for all: the same masks in every epoch, as the first BERT had them."""
    once = dataset.seed(0)
    rows = [example(once, at) for at in range(len(once))]
    return examples(**stacked(rows))


def sentences(text: str) -> list[str]:
    """A text cut after full stops, question and exclamation marks, and at empty lines."""
    return [part.strip() for part in re.split(r"(?<=[.!?])\s+|\n\s*\n", text) if part.strip()]


def _chunks(documents: Sequence[str], tokenizer: Tokenizer, room: int) -> tuple[np.ndarray, ...]:
    """All ids; where sentences end in them, beginning with 0; each chunk's first sentence and last, its document."""
    pieces: list[np.ndarray] = []
    ends, chunks, owner = [0], [], []
    for number, document in enumerate(documents):
        first = len(pieces)
        for sentence in sentences(document):
            piece = tokenizer.encode(" " + sentence)  # as inside a text, for those that keep a space with its word
            if not len(piece):
                continue
            pieces.append(piece)
            ends.append(ends[-1] + len(piece))
            if len(pieces) - first >= 2 and ends[-1] - ends[first] >= room:
                chunks.append((first, len(pieces)))
                owner.append(number)
                first = len(pieces)
        if len(pieces) - first >= 2:
            chunks.append((first, len(pieces)))
            owner.append(number)
    return np.concatenate([*pieces, np.zeros(0, np.int32)]), np.array(ends), np.array(chunks), np.array(owner)


def _choose(free: np.ndarray, goes_on: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Free positions, by whole words in random order, as many words as fit into `count` and at least one position.

    A position that goes on belongs to the word of the one before, unless there is something between them.
    """
    begins = ~goes_on
    begins[:1] = True
    begins[1:] |= free[1:] > free[:-1] + 1
    starts = np.append(np.flatnonzero(begins), len(free))
    sizes = (starts[1:] - starts[:-1]).tolist()
    taken = np.zeros(len(sizes), bool)
    left = max(count, 1)
    for word in rng.permutation(len(sizes)).tolist():
        if sizes[word] <= left:
            taken[word] = True
            left -= sizes[word]
            if not left:
                break
    return free[np.repeat(taken, sizes)]


def _padded(values: np.ndarray, size: int) -> np.ndarray:
    filled = np.zeros(size, values.dtype)
    filled[: len(values)] = values
    return filled
