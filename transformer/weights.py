"""A model is declared, then born: its leaves are promises of arrays first, and arrays later.

    spec  = GPT2.of(Size(vocab=50257))        # free: no arrays, no tracing
    model = initialise(spec, jax.random.key(0))
"""
import dataclasses
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp

Array = jax.Array
Tree = TypeVar("Tree")
REPEATED = ("layers", "experts")  # axes along which the same weight is there several times
Initialiser = Callable[[Array, tuple[int, ...], int], Array]  # key, shape, fan in -> values


@dataclasses.dataclass(frozen=True)
class Weight:
    """A promise of an array: its shape, the name of each axis, and how it is born."""

    shape: tuple[int, ...]
    axes: tuple[str | None, ...]
    initialiser: Initialiser
    fan_in: int
    value: Array | None = dataclasses.field(default=None, compare=False, repr=False)  # what it is instead of being born

    dtype = jnp.float32


def weight(size: Any, axes: str, initialiser: Initialiser | None = None) -> Array:
    """A matrix: `weight(size, "embed -> heads head")` reads both lengths and fan-in from the fields of `size`."""
    inputs, _, outputs = axes.partition("->")
    names = (*inputs.split(), *outputs.split())
    fan_in = math.prod(_lengths(size, tuple(inputs.split())))
    return _promise(_lengths(size, names), _named(names), initialiser or scaled, fan_in)


def table(size: Any, axes: str, initialiser: Initialiser | None = None) -> Array:
    """A lookup table: rows are looked up whole, so its last axis is called `width`, which no rule splits."""
    names = tuple(axes.split())
    return _promise(_lengths(size, names), (*_named(names[:-1]), "width"), initialiser or normal(0.02), 1)


def constant(size: Any, axes: str, value: float) -> Array:
    """A scale that starts at one, or a bias that starts at zero."""
    names = tuple(axes.split())
    return _promise(_lengths(size, names), _named(names), _filled(value), 1)


@cache
def _filled(value: float) -> Initialiser:
    return lambda key, shape, fan_in: jnp.full(shape, value)


@cache
def normal(deviation: float) -> Initialiser:
    return lambda key, shape, fan_in: deviation * jax.random.normal(key, shape)


def scaled(key: Array, shape: tuple[int, ...], fan_in: int) -> Array:
    """Keeps the variance of what passes through: 1 / fan-in, truncated at two deviations (which shrinks it by .8796)."""
    return jax.random.truncated_normal(key, -2.0, 2.0, shape) / (0.87962566 * math.sqrt(fan_in))


def stacked(block: Tree, layers: int) -> Tree:
    """The same block `layers` times over, every weight with a leading axis, as `lax.scan` wants them."""
    return repeated(block, layers, "layers")


def repeated(part: Tree, times: int, axis: str) -> Tree:
    """The same part several times over, along a new first axis of this name, each born from a key of its own."""
    return jax.tree.map(lambda w: Weight((times, *w.shape), (axis, *w.axes), _each(w.initialiser, times), w.fan_in), part)


@cache
def _each(initialiser: Initialiser, times: int) -> Initialiser:
    """Of the first axis, each from a key of its own."""

    def born(key: Array, shape: tuple[int, ...], fan_in: int) -> Array:
        keys = jax.vmap(lambda place: jax.random.fold_in(key, place))(jnp.arange(times))
        return jax.vmap(lambda key: initialiser(key, shape[1:], fan_in))(keys)

    return born


def initialise(spec: Tree, key: Array, held: Mapping[str, Array] | None = None) -> Tree:
    """Every weight from a key of its own path, so that adding a weight changes no other; those that are `held` as they are.

    Weights that are alike are drawn together, which compiles sooner and gives each what it would draw alone.
    """
    weights, born = named(spec), dict(holds(spec) if held is None else held)
    alike: dict[Any, list[str]] = {}
    for name, w in weights.items():
        if name not in born:
            alike.setdefault((w.initialiser, w.shape, w.fan_in), []).append(name)
    for (initialiser, shape, fan_in), names in alike.items():
        keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.array([zlib.crc32(name.encode()) for name in names], jnp.uint32))
        drawn = jax.vmap(lambda own: initialiser(own, shape, fan_in))(keys)
        born |= {name: values.astype(weights[name].dtype) for name, values in zip(names, drawn, strict=True)}
    return jax.tree_util.tree_map_with_path(lambda path, w: born[name_of(path)], spec)


def holding(spec: Tree, model: Any) -> Tree:
    """The same promises, kept with the weights of a model: what trains on instead of being born."""
    values = named(model)
    return jax.tree_util.tree_map_with_path(lambda path, w: dataclasses.replace(w, value=values[name_of(path)]), spec)


def holds(spec: Any) -> dict[str, Array]:
    """The weights that a spec has already, by name."""
    return {name: w.value for name, w in named(spec).items() if w.value is not None}


def abstract(spec: Tree) -> Tree:
    """The shapes and types that `initialise` would give."""
    return jax.tree.map(lambda w: jax.ShapeDtypeStruct(w.shape, w.dtype), spec)


def name_of(path: tuple[Any, ...]) -> str:
    """`blocks.attention.query.kernel`: how a leaf is called in tables, rules and checkpoints."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def named(tree: Any) -> dict[str, Any]:
    """All leaves by name."""
    return {name_of(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def count(tree: Any) -> int:
    """The number of parameters, of a spec as of a model."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def describe(spec: Any) -> Iterator[tuple[str, tuple[int, ...], tuple[str | None, ...], int]]:
    """One row a weight: path, shape, axes, count."""
    for name, w in named(spec).items():
        yield name, w.shape, w.axes, math.prod(w.shape)


def inputs(w: Weight) -> int:
    """How many axes of a matrix are multiplied away: those after its repeats, until the fan-in is used up."""
    lengths = w.shape[repeats(w):]
    return next(n for n in range(len(lengths) + 1) if math.prod(lengths[:n]) >= w.fan_in)


def repeats(w: Weight) -> int:
    """How many leading axes only say how often a weight is there."""
    return next((place for place, axis in enumerate(w.axes) if axis not in REPEATED), len(w.axes))


def edit(tree: Tree, kind: type, change: Callable[[Any], Any]) -> Tree:
    """Surgery: `change` every part of the given kind, as in `edit(model, Attention, lambda a: a.replace(core=fused))`."""
    return jax.tree.map(
        lambda part: change(part) if isinstance(part, kind) else part, tree, is_leaf=lambda part: isinstance(part, kind)
    )


def cast_floats(tree: Tree, dtype: Any) -> Tree:
    """The same tree in another floating type; whole numbers and keys stay as they are."""
    return jax.tree.map(lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)


def _promise(shape: tuple[int, ...], axes: tuple[str | None, ...], initialiser: Initialiser, fan_in: int) -> Array:
    return cast(Array, Weight(shape, axes, initialiser, fan_in))  # typed as what it will become


def _lengths(size: Any, names: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(int(name) if name.isdigit() else getattr(size, name) for name in names)


def _named(names: tuple[str, ...]) -> tuple[str | None, ...]:
    return tuple(None if name.isdigit() else name for name in names)
