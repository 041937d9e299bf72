"""GPT (Radford et al. 2018): the decoder before GPT-2, with its norms after each part and none at the end."""
from transformer.attention import Attention
from transformer.layers import Activation, Embedding, Head, Identity, LayerNorm, Mlp, gelu_tanh
from transformer.models.gpt2 import GPT2, Size
from transformer.stack import PostNorm, Stack
from transformer.weights import normal


def gpt(size: Size, dropout: float = 0.0, activation: Activation = gelu_tanh,
        epsilon: float = 1e-5, tied: bool = True) -> GPT2:
    initialiser = normal(0.02)
    block = PostNorm(
        attention=Attention.of(size, bias=True, initialiser=initialiser, dropout=dropout),
        attention_norm=LayerNorm.of(size, epsilon),
        mlp=Mlp.of(size, activation, initialiser=initialiser),
        mlp_norm=LayerNorm.of(size, epsilon),
        dropout=dropout)
    return GPT2(Embedding.of(size), Embedding.of(size, "length embed"), Stack.of(block, size.layers), Identity(),
                None if tied else Head.of(size, initialiser=initialiser), dropout)
