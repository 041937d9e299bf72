"""Word2Vec (Mikolov et al. 2013) and GloVe (Pennington et al. 2014): a vector for every word, and one for it as a neighbour."""
import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from transformer.layers import Embedding
from transformer.weights import constant, normal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int
    embed: int = 300


@struct.dataclass
class Word2Vec:
    words: Embedding
    neighbours: Embedding

    @classmethod
    def of(cls, size: Size) -> "Word2Vec":
        """Neighbours begin at zero, so that at first every pair is a coin toss."""
        spread = 0.5 / size.embed
        return cls(Embedding.of(size, initialiser=lambda key, shape, _: jax.random.uniform(key, shape, minval=-spread, maxval=spread)),
                   Embedding.of(size, initialiser=normal(0.0)))

    def given(self, words: Array, there: Array) -> Array:
        """The mean vector of the words that are there [b, n, g], of which skip-grams have one and CBOW has some."""
        mean = (self.words(words) * there[..., None]).sum(2)
        return mean / jnp.maximum(there.sum(2), 1.0)[..., None]

    def contexts(self, words: Array) -> Array:
        return self.neighbours(words)

    def vectors(self) -> Array:
        return self.words.table


@struct.dataclass
class Glove:
    words: Embedding
    neighbours: Embedding
    word_bias: Array
    neighbour_bias: Array

    @classmethod
    def of(cls, size: Size) -> "Glove":
        return cls(Embedding.of(size), Embedding.of(size), constant(size, "vocab", 0.0), constant(size, "vocab", 0.0))

    def __call__(self, pairs: Array) -> Array:
        """The logarithm of how often the two words [b, 2] stand together."""
        word, neighbour = pairs[:, 0], pairs[:, 1]
        product = (self.words(word) * self.neighbours(neighbour)).sum(-1)
        return product + jnp.take(self.word_bias, word) + jnp.take(self.neighbour_bias, neighbour)

    def vectors(self) -> Array:
        """Those of words, without what they have in common. (The paper adds those of neighbours: then words that only stand
        beside each other, as a subject and its verb, look alike too.)"""
        return self.words.table - self.words.table.mean(0, keepdims=True)
