"""Image GPT (Chen et al. 2020): GPT-2 over the pixels of small images, each one of 512 colours, in raster order.

Its norms neither centre nor shift, its GELU is the quick one, and its head never says the token that starts an image.
"""
import dataclasses

from transformer.attention import Attention
from transformer.layers import Activation, Embedding, Head, Mlp, RMSNorm, quick_gelu
from transformer.models import gpt2
from transformer.models.gpt2 import GPT2
from transformer.stack import PreNorm, Stack
from transformer.weights import normal


@dataclasses.dataclass(frozen=True)
class Size(gpt2.Size):
    """`vocab` counts the colours and the start."""

    vocab: int = 513
    layers: int = 24
    embed: int = 512
    heads: int = 8

    @property
    def colours(self) -> int:
        return self.vocab - 1


def imagegpt(size: Size, dropout: float = 0.0, activation: Activation = quick_gelu, epsilon: float = 1e-5) -> GPT2:
    initialiser = normal(0.02)
    block = PreNorm(
        attention_norm=RMSNorm.of(size, epsilon),
        attention=Attention.of(size, bias=True, initialiser=initialiser, dropout=dropout),
        mlp_norm=RMSNorm.of(size, epsilon),
        mlp=Mlp.of(size, activation, initialiser=initialiser),
        dropout=dropout)
    # Colours are not laid out over a mesh as words are: few, and no power of two once the start is gone.
    head = Head.of(size, f"embed -> {size.colours}", initialiser)
    return GPT2(Embedding.of(size), Embedding.of(size, "length embed"), Stack.of(block, size.layers),
                RMSNorm.of(size, epsilon), head, dropout)
