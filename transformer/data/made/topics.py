"""Texts about topics, in invented words: some belong to a topic, most to none. Who has read many knows which words go together,
and needs few labels to say what that is called.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from transformer.data.examples import Example
from transformer.data.tokenizers import Tokenizer

SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]


@dataclass(frozen=True)
class Topics:
    """Each topic has words of its own; a text of `length` words has `told` of them."""

    topics: int = 4
    words: int = 300
    others: int = 100
    length: int = 12
    told: int = 5

    @property
    def vocabulary(self) -> list[str]:
        """The words of the topics, one topic after the other, and then those of none."""
        made = ("".join(pair) for pair in itertools.product(SYLLABLES, SYLLABLES))
        shuffled = np.random.default_rng(0).permutation(list(made))
        return shuffled[: self.topics * self.words + self.others].tolist()

    def texts(self, rng: np.random.Generator, count: int) -> tuple[list[str], np.ndarray]:
        """Texts, and the topic of each."""
        words, labels = np.array(self.vocabulary), rng.integers(self.topics, size=count)
        own = labels[:, None] * self.words + rng.integers(self.words, size=(count, self.told))
        none = self.topics * self.words + rng.integers(self.others, size=(count, self.length - self.told))
        mixed = rng.permuted(np.concatenate([own, none], 1), axis=1)
        return [" ".join(words[row]) for row in mixed], labels


def masked(row: Example, rng: np.random.Generator, tokenizer: Tokenizer) -> Example:
    """A text with half of its words hidden, to be guessed from the others."""
    words = int(row["present"].sum()) - 2
    chosen = rng.choice(words, words // 2, replace=False) + 1
    places, tokens = np.zeros((len(row["tokens"]) - 2) // 2, np.int32), row["tokens"].copy()
    places[:len(chosen)] = chosen
    tokens[chosen] = tokenizer.mask
    return {**row, "tokens": tokens, "masked": places, "labels": row["tokens"][places], "weights": (places > 0).astype(np.float32)}
