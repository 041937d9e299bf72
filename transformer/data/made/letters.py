"""Letters to the editor: of four sentences two are about the matter at hand, and most of the words that tell are misspelt.

Who knows words only as wholes does not know these; who reads letters does.
"""

from dataclasses import dataclass

import numpy as np

TOPICS = {
    "farming": "tractor harvest barley orchard cattle meadow plough fodder",
    "medicine": "hospital surgeon vaccine patient fever bandage clinic doctor",
    "sailing": "harbour anchor rudder captain lighthouse schooner voyage compass",
    "music": "orchestra violin concert trumpet melody composer rehearsal soprano",
    "justice": "lawyer verdict witness prison sentence tribunal evidence burglar",
    "cooking": "kitchen recipe butter saucepan pepper dessert pastry oven",
}
FILLERS = ["people", "often", "speak", "about", "this", "year", "after", "many", "there", "were", "some", "again", "which", "never"]


@dataclass(frozen=True)
class Letter:
    sentences: tuple[tuple[str, ...], ...]
    topic: str


def letters(count: int, seed: int, misspelt: float = 0.8) -> list[Letter]:
    rng = np.random.default_rng(seed)
    return [_letter(rng, misspelt) for _ in range(count)]


def misspell(word: str, rng: np.random.Generator) -> str:
    """A letter is lost, doubled, mistyped, or changes places with the next."""
    place, other = int(rng.integers(1, len(word) - 1)), chr(97 + int(rng.integers(26)))
    kind = rng.integers(4)
    if kind == 0:
        return word[:place] + word[place + 1 :]
    if kind == 1:
        return word[:place] + word[place] + word[place:]
    if kind == 2:
        return word[:place] + other + word[place + 1 :]
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def nested(some: list[Letter], sentences: int, words: int, length: int) -> np.ndarray:
    """Letters of the alphabet from 1 on [texts, sentences, words, length], 0 where there is none."""
    table = np.zeros((len(some), sentences, words, length), np.int32)
    for text, one in enumerate(some):
        for place, sentence in enumerate(one.sentences[:sentences]):
            for at, word in enumerate(sentence[:words]):
                table[text, place, at, : len(word)] = [ord(letter) - 96 for letter in word[:length]]
    return table


def flat(some: list[Letter], length: int) -> np.ndarray:
    """The same letters in a row, 27 between words and 28 after sentences."""
    table = np.zeros((len(some), length), np.int32)
    for text, one in enumerate(some):
        codes = [code for sentence in one.sentences for code in [*[c for word in sentence for c in [*[ord(letter) - 96 for letter in word], 27]], 28]]
        table[text, : len(codes)] = codes[:length]
    return table


def wholes(some: list[Letter], known: dict[str, int], length: int) -> np.ndarray:
    """Words as wholes: the number of each that is known, and 1 for all others."""
    table = np.zeros((len(some), length), np.int32)
    for text, one in enumerate(some):
        numbers = [known.get(word, 1) for sentence in one.sentences for word in sentence]
        table[text, : len(numbers)] = numbers[:length]
    return table


def _letter(rng: np.random.Generator, misspelt: float) -> Letter:
    topics = [str(topic) for topic in rng.choice(list(TOPICS), 3, replace=False)]
    about = [topics[place] for place in rng.permutation([0, 0, 1, 2])]
    return Letter(tuple(_sentence(topic, rng, misspelt) for topic in about), topics[0])


def _sentence(topic: str, rng: np.random.Generator, misspelt: float) -> tuple[str, ...]:
    said = [str(word) for word in rng.choice(TOPICS[topic].split(), 2, replace=False)]
    said = [misspell(word, rng) if rng.random() < misspelt else word for word in said]
    words = [*said, FILLERS[rng.integers(len(FILLERS))]]
    return tuple(words[place] for place in rng.permutation(3))
