"""Few weights beside many frozen ones: LoRA (Hu et al. 2021) and adapters (Houlsby et al. 2019), in any model, by path.

    spec = low_rank(spec, "*attention.query", "*attention.value", rank=8)
    optimizer = adamw(rate, only=(*ADDED, "head.*"))
    model = merged(trained)        plain weights again

Both begin as nothing: the model computes at first what it computed without them.
"""
import math
from collections.abc import Callable
from fnmatch import fnmatch
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import struct

from transformer.layers import Linear, gelu, static
from transformer.mistakes import Mistake
from transformer.weights import Weight, edit, inputs, name_of, repeated, repeats, scaled

Array = jax.Array
Tree = TypeVar("Tree")
ADDED = ("*.narrow.*", "*.widen.*")  # what both add, by name


@struct.dataclass
class LowRank:
    """A linear map, and what it has learned since: the product of a narrow and a wide matrix, beside its own."""

    base: Linear
    narrow: Linear
    widen: Linear
    scale: float = static(1.0)

    def __call__(self, x: Array) -> Array:
        return self.base(x) + self.scale * self.widen(self.narrow(x))

    @property
    def kernel(self) -> Array:
        """The one matrix that all three come to, or one for each layer."""
        kernel, narrow, widen = self.base.kernel, self.narrow.kernel, self.widen.kernel
        times = narrow.shape[:narrow.ndim - self.base.inputs - 1]
        product = narrow.reshape(*times, -1, narrow.shape[-1]) @ widen.reshape(*times, narrow.shape[-1], -1)
        return kernel + self.scale * product.reshape(kernel.shape).astype(kernel.dtype)


@struct.dataclass
class Adapter:
    """A linear map, and a narrow feed-forward layer that changes what comes out of it."""

    base: Linear
    narrow: Linear
    widen: Linear

    def __call__(self, x: Array) -> Array:
        y = self.base(x)
        return y + self.widen(gelu(self.narrow(y)))

    @property
    def kernel(self) -> Array:
        return self.base.kernel


def low_rank(spec: Tree, *patterns: str, rank: int = 8, scale: float = 1.0) -> Tree:
    """LoRA beside every linear map whose path fits a pattern."""

    def added(base: Linear) -> LowRank:
        before, after = _sides(base)
        return LowRank(base, _linear(base, before, (rank,)), _linear(base, (rank,), after, nothing), scale)

    return _changed(spec, patterns, added)


def adapters(spec: Tree, *patterns: str, width: int = 16) -> Tree:
    """An adapter behind every linear map whose path fits a pattern: those that write to the stream, mostly."""

    def added(base: Linear) -> Adapter:
        _, after = _sides(base)
        return Adapter(base, _linear(base, after, (width,)), _linear(base, (width,), after, nothing))

    return _changed(spec, patterns, added)


def merged(model: Tree) -> Tree:
    """A trained model with its low ranks added to its own weights: as fast and as large as it was before."""
    return edit(model, LowRank, lambda part: part.base.replace(kernel=part.kernel))


def nothing(key: Array, shape: tuple[int, ...], fan_in: int) -> Array:
    return jnp.zeros(shape)


def _changed(spec: Tree, patterns: tuple[str, ...], change: Callable[[Linear], Any]) -> Tree:
    """Every linear map of those names changed."""
    found, there = set(), []

    def one(path: tuple[Any, ...], part: Any) -> Any:
        if not isinstance(part, Linear):
            return part
        there.append(name_of(path))
        fitting = {pattern for pattern in patterns if fnmatch(there[-1], pattern)}
        found.update(fitting)
        return change(part) if fitting else part

    changed = jax.tree_util.tree_map_with_path(one, spec, is_leaf=lambda part: isinstance(part, Linear))
    for pattern in patterns:
        if pattern not in found:
            raise Mistake(f"{pattern!r} matches no linear map; there are {', '.join(there)}")
    return changed


def _sides(linear: Linear) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """What a linear map multiplies away, and what comes out: (length, axis) of each."""
    w: Any = linear.kernel
    axes = list(zip(w.shape, w.axes, strict=True))
    start = repeats(w)
    return tuple(axes[start:start + inputs(w)]), tuple(axes[start + inputs(w):])


def _linear(beside: Linear, before: tuple[Any, ...], after: tuple[Any, ...], initialiser: Any = scaled) -> Linear:
    """As often as the one beside it, from some axes to others; a mere number is an axis without a name."""
    axes = [axis if isinstance(axis, tuple) else (axis, None) for axis in (*before, *after)]
    lengths = tuple(length for length, _ in axes)
    w: Any = Weight(lengths, tuple(name for _, name in axes), initialiser, math.prod(lengths[:len(before)]))
    own: Any = beside.kernel
    for place in reversed(range(repeats(own))):
        w = repeated(w, own.shape[place], own.axes[place])
    return Linear(w, None, len(before))
