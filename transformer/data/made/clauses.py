"""Sentences whose verbs agree with subjects far away, and brackets that close what was opened long ago.

Between a subject and its verb stand other nouns; those of the other number attract whoever looks at the nearest noun.
Whether a row is held out is decided by the row itself.
"""
import random
import zlib
from collections.abc import Callable

import numpy as np
from grain import MapDataset

from transformer.data.examples import examples


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NOUNS = [(word, word + "s") for word in _words(
    "key dog boy girl farmer teacher cabinet picture letter table doctor garden window author robot river singer pilot")]
NEAR = _words("near behind beside above")
VERBS = [(word + "s", word) for word in _words("run sleep fall wait shine vanish")]
DOES = [(word + "s", word) for word in _words("like see know follow")]  # what is done to what a relative clause is about
WORDS = ["<pad>", "<s>", ".", "the", "that", *NEAR, *(form for pair in [*NOUNS, *VERBS, *DOES] for form in pair)]
IDS = {word: id for id, word in enumerate(WORDS)}
NUMBER_OF = {IDS[form]: number for pair in NOUNS for number, form in enumerate(pair)}
ATTRACTORS = ("0_attractors", "1_attractor", "2_attractors", "3_attractors_or_more")

BRACKETS = ["<pad>", "<s>", "(", ")", "[", "]"]
DISTANCES = ("next_to_it", "up_to_10_apart", "up_to_20_apart", "over_20_apart")

Row = list[tuple[int, int, int]]  # tokens, each with its wrong form and its group, -1 where it is not asked for


def clauses(rows: int, seed: int, held_out: bool = False, length: int = 32) -> MapDataset:
    """Next-token examples; `foil` is the verb in the wrong number, `group` counts the nouns that attract it."""
    return _dataset(rows, length, seed, held_out, _sentence)


def brackets(rows: int, seed: int, held_out: bool = False, length: int = 48, deepest: int = 8) -> MapDataset:
    """Two kinds of brackets, nested; `foil` closes the wrong kind, `group` is how far away it was opened."""
    return _dataset(rows, length, seed, held_out, lambda draw: _nested(draw, length - 2, deepest))


def _sentence(draw: random.Random) -> Row:
    """The key that the boys near the river like vanishes ."""
    return [_word("<s>"), *_phrase(draw, VERBS, deep=True), _word(".")]


def _phrase(draw: random.Random, verbs: list[tuple[str, str]], deep: bool) -> Row:
    """A subject with what is said of it, and its verb."""
    number = draw.randrange(2)
    row = [_word("the"), _word(draw.choice(NOUNS)[number])]
    others: list[int] = []
    for _ in range(draw.randrange(5 if deep else 2)):
        if deep and draw.random() < 0.25:
            inner = _phrase(draw, DOES, deep=False)
            row += [_word("that"), *inner]
            others += [NUMBER_OF[token] for token, _, _ in inner if token in NUMBER_OF]
        else:
            others.append(draw.randrange(2))
            row += [_word(draw.choice(NEAR)), _word("the"), _word(draw.choice(NOUNS)[others[-1]])]
    verb = draw.choice(verbs)
    attracted = sum(other != number for other in others)
    return [*row, (IDS[verb[number]], IDS[verb[1 - number]], min(attracted, 3))]


def _nested(draw: random.Random, length: int, deepest: int) -> Row:
    row: Row = [(1, 0, -1)]
    opened: list[tuple[int, int]] = []
    for at in range(length - length % 2):
        left = length - length % 2 - at
        if len(opened) < min(left, deepest) and (not opened or draw.random() < 0.5):
            opened.append((draw.randrange(2), at))
            row.append((2 + 2 * opened[-1][0], 0, -1))
        else:
            kind, begun = opened.pop()
            apart = at - begun
            row.append((3 + 2 * kind, 5 - 2 * kind, (apart > 1) + (apart > 10) + (apart > 20)))
    return row


def _dataset(rows: int, length: int, seed: int, held_out: bool, make: Callable[[random.Random], Row]) -> MapDataset:
    draw = random.Random(seed)
    found: list[Row] = []
    while len(found) < rows:
        row = make(draw)
        own = zlib.crc32(bytes(token for token, _, _ in row)) % 5 == 0
        if own == held_out and len(row) <= length:
            found.append(row)
    filled = np.array([row + [(0, 0, -1)] * (length - len(row)) for row in found], np.int32)
    tokens, foil, group = np.moveaxis(filled, 2, 0)
    return examples(tokens=tokens[:, :-1], targets=tokens[:, 1:], weights=(tokens[:, 1:] > 0).astype(np.float32),
                    foil=foil[:, 1:], group=group[:, 1:])


def _word(word: str) -> tuple[int, int, int]:
    return IDS[word], 0, -1

