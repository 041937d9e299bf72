"""The small parts: linear maps, embeddings, norms, feed-forward layers, dropout.

A part computes in the type of what it is given; norms and logits compute in float32 inside.
"""
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer.weights import Initialiser, constant, table, weight

Array = jax.Array
Activation = Callable[[Array], Array]


def static(default: Any) -> Any:
    """A field that is a choice rather than an array: part of the program, not of the parameters."""
    return struct.field(pytree_node=False, default=default)


@struct.dataclass
class Linear:
    """y = x W (+ b), over as many input axes as the arrow had on its left."""

    kernel: Array
    bias: Array | None = None
    inputs: int = static(1)

    @classmethod
    def of(cls, size: Any, axes: str, bias: bool = False, initialiser: Initialiser | None = None) -> "Linear":
        before, _, after = axes.partition("->")
        return cls(weight(size, axes, initialiser), constant(size, after, 0.0) if bias else None, len(before.split()))

    def __call__(self, x: Array) -> Array:
        kernel, leading, outputs = self.kernel, x.shape[: x.ndim - self.inputs], self.kernel.shape[self.inputs :]
        kernel = kernel.astype(x.dtype).reshape(math.prod(kernel.shape[: self.inputs]), -1)
        y = product(x.reshape(*leading, -1), kernel).reshape(*leading, *outputs)
        return y if self.bias is None else y + jnp.expand_dims(self.bias.astype(x.dtype), tuple(range(len(leading))))


@jax.custom_vjp
def product(x: Array, kernel: Array) -> Array:
    """x [..., in] times kernel [in, out].

    The gradient is written out (so there is no forward mode): XLA's own takes gᵀx and transposes it, and on a CPU that, and
    what it fuses into it, cost a quarter of a training step.
    """
    return x @ kernel


def _product_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return x @ kernel, (x, kernel)


def _product_backward(kept: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = kept
    leading = tuple(range(x.ndim - 1))
    return jax.lax.dot_general(g, kernel, (((g.ndim - 1,), (1,)), ((), ()))), jnp.tensordot(x, g, (leading, leading))


product.defvjp(_product_forward, _product_backward)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def wide(x: Array, matrix: Array, equation: str) -> Array:
    """A product in float32 of factors in whatever type; its gradient multiplies in their type again."""
    return jnp.einsum(equation, x, matrix, preferred_element_type=jnp.float32)


def _wide_backward(equation: str, kept: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, matrix = kept
    g = g.astype(x.dtype)
    (dx,) = jax.linear_transpose(lambda x: jnp.einsum(equation, x, matrix), x)(g)
    (dmatrix,) = jax.linear_transpose(lambda matrix: jnp.einsum(equation, x, matrix), matrix)(g)
    return dx, dmatrix


wide.defvjp(lambda x, matrix, equation: (wide(x, matrix, equation), (x, matrix)), _wide_backward)


@struct.dataclass
class Embedding:
    """A table of vectors; tied to the output, the same table gives the logits."""

    table: Array

    @classmethod
    def of(cls, size: Any, axes: str = "vocab embed", initialiser: Initialiser | None = None) -> "Embedding":
        return cls(table(size, axes, initialiser))

    def __call__(self, tokens: Array) -> Array:
        return jnp.take(self.table, tokens, axis=0)

    def logits(self, x: Array) -> Array:
        return wide(x, self.table.astype(x.dtype), "btd,vd->btv")


@struct.dataclass
class Head:
    """An output of its own: logits in float32."""

    kernel: Array

    @classmethod
    def of(cls, size: Any, axes: str = "embed -> vocab", initialiser: Initialiser | None = None) -> "Head":
        return cls(weight(size, axes, initialiser))

    def __call__(self, x: Array) -> Array:
        return wide(x, self.kernel.astype(x.dtype), "btd,dv->btv")


@struct.dataclass
class LayerNorm:
    """Zero mean and unit variance along the last axis, then a learned scale and, mostly, a shift."""

    scale: Array
    shift: Array | None
    epsilon: float = static(1e-5)

    @classmethod
    def of(cls, size: Any, epsilon: float = 1e-5, axis: str = "embed") -> "LayerNorm":
        return cls(constant(size, axis, 1.0), constant(size, axis, 0.0), epsilon)

    def __call__(self, x: Array) -> Array:
        y = x.astype(jnp.float32)
        y = y - y.mean(-1, keepdims=True)
        y = y * jax.lax.rsqrt(jnp.square(y).mean(-1, keepdims=True) + self.epsilon)
        y = y * _along(self.scale, y)
        return (y if self.shift is None else y + _along(self.shift, y)).astype(x.dtype)


@struct.dataclass
class RMSNorm:
    """Unit mean square along the last axis, then a learned scale (Gemma's is what it learned plus one)."""

    scale: Array
    epsilon: float = static(1e-6)
    offset: float = static(0.0)

    @classmethod
    def of(cls, size: Any, epsilon: float = 1e-6, axis: str = "embed", offset: float = 0.0) -> "RMSNorm":
        return cls(constant(size, axis, 1.0 - offset), epsilon, offset)

    def __call__(self, x: Array) -> Array:
        y = x.astype(jnp.float32)
        y = y * jax.lax.rsqrt(jnp.square(y).mean(-1, keepdims=True) + self.epsilon)
        return (y * (self.offset + _along(self.scale, y))).astype(x.dtype)


@struct.dataclass
class Identity:
    """Where others have a part, nothing."""

    def __call__(self, x: Array) -> Array:
        return x


@struct.dataclass
class Mlp:
    """Up, activation, down."""

    up: Linear
    down: Linear
    activation: Activation = static(jax.nn.gelu)

    @classmethod
    def of(cls, size: Any, activation: Activation, bias: bool = True,
           initialiser: Initialiser | None = None, last: Initialiser | None = None) -> "Mlp":
        return cls(Linear.of(size, "embed -> mlp", bias, initialiser),
                   Linear.of(size, "mlp -> embed", bias, last or initialiser), activation)

    def __call__(self, x: Array) -> Array:
        return self.down(self.activation(self.up(x)))


@struct.dataclass
class GatedMlp:
    """Up, multiplied by an activated gate, down: SwiGLU, GeGLU and their kin."""

    gate: Linear
    up: Linear
    down: Linear
    activation: Activation = static(jax.nn.silu)

    @classmethod
    def of(cls, size: Any, activation: Activation, bias: bool = False,
           initialiser: Initialiser | None = None, last: Initialiser | None = None) -> "GatedMlp":
        return cls(Linear.of(size, "embed -> mlp", bias, initialiser), Linear.of(size, "embed -> mlp", bias, initialiser),
                   Linear.of(size, "mlp -> embed", bias, last or initialiser), activation)

    def __call__(self, x: Array) -> Array:
        return self.down(self.activation(self.gate(x)) * self.up(x))


def gelu(x: Array) -> Array:
    """Exact, with the error function: BERT's, BART's, Whisper's."""
    return jax.nn.gelu(x, approximate=False)


def gelu_tanh(x: Array) -> Array:
    """GPT-2's approximation."""
    return jax.nn.gelu(x, approximate=True)


def quick_gelu(x: Array) -> Array:
    """CLIP's and Image GPT's: a sigmoid, sped up."""
    return x * jax.nn.sigmoid(1.702 * x)


def dropout(x: Array, rate: float, key: Array | None) -> Array:
    """Zeroes a share of x and scales up the rest; without a key nothing is dropped."""
    if key is None or rate == 0.0:
        return x
    kept = jax.random.bernoulli(key, 1.0 - rate, x.shape)
    return jnp.where(kept, x / (1.0 - rate), jnp.zeros_like(x))


def _along(vector: Array, x: Array) -> Array:
    return jnp.expand_dims(vector.astype(x.dtype), tuple(range(x.ndim - 1)))
