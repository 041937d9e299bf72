"""DistilBERT (Sanh et al. 2019): half of BERT's layers, taught by BERT; no sentence kinds, no pooler."""
import dataclasses
from typing import Any

import jax
from flax import struct

from transformer.layers import Activation, gelu
from transformer.models.bert import Bert, Masked, MaskedHead, Size
from transformer.weights import Weight

Array = jax.Array


def masked(size: Size, dropout: float = 0.0, activation: Activation = gelu) -> Masked:
    """DistilBERT as it is distilled; the published size is Size(kinds=0, layers=6)."""
    return Masked(Bert.of(size, dropout, activation=activation), MaskedHead.of(size, activation=activation))


def halved(teacher: Masked) -> Masked:
    """Where a student begins: every second layer of a trained teacher, and all else as it is."""

    def every_second(w: Weight) -> Weight:
        assert w.value is not None, "only what was trained can be halved"
        layers = w.value[::2]
        return dataclasses.replace(w, shape=layers.shape, value=layers)

    encoder = teacher.encoder
    stack = dataclasses.replace(encoder.blocks, blocks=jax.tree.map(every_second, encoder.blocks.blocks))
    return dataclasses.replace(teacher, encoder=dataclasses.replace(encoder, blocks=stack))


@struct.dataclass
class Distilled:
    """A student and who teaches it; whatever it is asked, the student answers."""

    teacher: Any
    student: Any

    def encode(self, tokens: Array, **context: Array | None) -> Array:
        return self.student.encode(tokens, **context)

    def words(self, hidden: Array) -> Array:
        return self.student.words(hidden)
