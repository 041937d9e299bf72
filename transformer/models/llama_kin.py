"""What came after LLaMA with a part or two swapped, one function each; what takes its tokens is always a `Llama`."""
import math
from dataclasses import dataclass, replace
from typing import Any

import jax

from transformer.attention import Attention, Capped, attend
from transformer.experts import Experts
from transformer.layers import Activation, RMSNorm, gelu_tanh
from transformer.models.llama import Llama, Size, plain
from transformer.positions import Rotary
from transformer.stack import PreNorm, Stack
from transformer.weights import normal


def mistral(size: Size, reach: int | None = 4096, **choices: Any) -> Llama:
    """Mistral (Jiang et al. 2023): every layer sees the last `reach` tokens, and what is older through those below."""
    return Llama.of(size, **choices, windows=(reach,))


def qwen2(size: Size, epsilon: float = 1e-6, activation: Activation = jax.nn.silu, **choices: Any) -> Llama:
    """Qwen 2 (Yang et al. 2024): queries, keys and values have biases."""
    block = plain(size, epsilon, activation)
    asking = Attention.of(size, bias=True, groups="groups", initialiser=normal(0.02))
    attention = replace(asking, out=block.attention.out)
    return Llama.of(size, epsilon=epsilon, block=replace(block, attention=attention), **choices)


def qwen3(size: Size, epsilon: float = 1e-6, activation: Activation = jax.nn.silu, bias: bool = False,
          **choices: Any) -> Llama:
    """Qwen 3 (Yang et al. 2025): queries and keys are normalised, each head by itself."""
    block, norm = plain(size, epsilon, activation, bias), RMSNorm.of(size, epsilon, "head")
    attention = replace(block.attention, query_norm=norm, key_norm=norm)
    return Llama.of(size, epsilon=epsilon, block=replace(block, attention=attention), **choices)


def gemma(size: Size, rotary: Rotary | None = None, epsilon: float = 1e-6, activation: Activation = gelu_tanh,
          bias: bool = False, tied: bool = True) -> Llama:
    """Gemma (2024): norms around one, GELU gates, embeddings scaled up by √embed and tied."""
    norm = RMSNorm.of(size, epsilon, offset=1.0)
    block = replace(plain(size, epsilon, activation, bias), attention_norm=norm, mlp_norm=norm)
    llama = Llama.of(size, block=block, rotary=rotary, tied=tied)
    return replace(llama, norm=norm, multiplier=math.sqrt(size.embed))


def gemma2(size: Size, rotary: Rotary | None = None, epsilon: float = 1e-6, activation: Activation = gelu_tanh,
           bias: bool = False, tied: bool = True, *, asked: float = 256.0, cap: float | None = 50.0,
           last_cap: float | None = 30.0, kinds: tuple[int, ...] | None = None, reach: int | None = 4096) -> Llama:
    """Gemma 2 (2024): also norms after each part, scores and logits that are capped, every other layer with a window.

    Scores are divided by √asked, whatever the size of a head; kind 0 of layer has the window, kind 1 sees everything.
    """
    one, norm = gemma(size, rotary, epsilon, activation, bias, tied), RMSNorm.of(size, epsilon, offset=1.0)
    block = plain(size, epsilon, activation, bias)
    attention = replace(block.attention, scale=asked ** -0.5, core=Capped(cap) if cap else attend)
    block = PreNorm(norm, attention, norm, block.mlp, attention_after=norm, mlp_after=norm)
    kinds = tuple(layer % 2 for layer in range(size.layers)) if kinds is None else kinds
    return replace(one, blocks=Stack.of(block, size.layers, kinds), windows=(reach, None), cap=last_cap)


@dataclass(frozen=True)
class ExpertSize(Size):
    experts: int = 8


def mixtral(size: ExpertSize, epsilon: float = 1e-5, activation: Activation = jax.nn.silu, chosen: int = 2,
            reach: int | None = None, **choices: Any) -> Llama:
    """Mixtral (Jiang et al. 2024): in place of each feed-forward layer experts, of which a token sees `chosen`."""
    block = replace(plain(size, epsilon, activation), mlp=Experts.of(size, activation, chosen, normal(0.02)))
    return Llama.of(size, epsilon=epsilon, block=block, windows=(reach,), **choices)
