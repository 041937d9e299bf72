"""Sentences with a word of two meanings, of which the words around it tell, before it or after it: a bank of a river, or of money."""

import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# Of each word its two fields, and what is spoken of in each field.
SENSES = {
    "bank": ("river", "money"), "bat": ("night", "sport"), "pitcher": ("sport", "kitchen"), "crane": ("river", "building"),
    "bass": ("river", "music"), "organ": ("body", "music"), "chest": ("body", "building"), "pupil": ("body", "school"),
    "star": ("night", "music"), "palm": ("body", "garden"), "plant": ("garden", "building"), "note": ("music", "money"),
}
FIELDS = {
    "river": "water fish boat reeds current bridge", "money": "loan coins credit debt cash interest",
    "night": "moon owl darkness sky shadow midnight", "sport": "game team score match coach ball",
    "kitchen": "milk oven soup plate spoon flour", "building": "wall brick roof cement tower beam",
    "music": "song choir guitar melody drum concert", "body": "heart blood lung skin muscle bone",
    "school": "lesson teacher exam pen desk homework", "garden": "leaf root soil flower shade tree",
}
BEFORE = ["The {0} and the {1} were next to the {word} .", "After the {0} and the {1} came the {word} .", "With {0} and {1} goes this {word} ."]
AFTER = ["The {word} was next to the {0} and the {1} .", "That {word} goes with {0} and {1} .", "A {word} is known by its {0} and {1} ."]


@dataclass(frozen=True)
class Sense:
    text: str
    word: str
    second: bool  # of its two meanings


def senses(count: int, seed: int, held_out: bool = False) -> list[Sense]:
    """What is held out is decided by the text, so that no seed gives a text to both sides."""
    return list(itertools.islice((one for one in _drawn(seed) if (zlib.crc32(one.text.encode()) % 5 == 0) == held_out), count))


def _drawn(seed: int) -> Iterator[Sense]:
    rng = np.random.default_rng(seed)
    words = list(SENSES)
    while True:
        word, second = words[rng.integers(len(words))], bool(rng.integers(2))
        cues = rng.choice(FIELDS[SENSES[word][second]].split(), 2, replace=False)
        template = (BEFORE, AFTER)[rng.integers(2)][rng.integers(3)]
        yield Sense(template.format(*cues, word=word), word, second)
