"""Looking inside: what each head attends to and what each block writes, of any model as it is, and pictures of both.

    maps = attention_maps(model, tokens)["attention"]        layers, rows, heads, queries, keys
    draw_attention({"head 2 of layer 1 repeats what came before": maps[1, 0, 2]}, letters)
"""
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from transformer.attention import Attention, Core
from transformer.stack import Stack
from transformer.weights import name_of

Array = jax.Array


@jax.jit
def attention_maps(model: Any, *inputs: Array, **context: Any) -> dict[str, Array]:
    """How much each query listens to each key [layers, b, h, t, s], by the name of the attention.

    A decoder has `attention`, a T5 `encoder.attention`, `decoder.attention` and `decoder.cross`. `context` is what the
    model takes beside its tokens.
    """
    maps: dict[str, list[Array]] = {}

    def watched(name: str, attention: Attention) -> Attention:
        family = ".".join(word for word in name.split(".") if word != "blocks" and not word.isdigit())

        def core(q: Array, k: Array, v: Array, mask: Any, bias: Any, scale: float, drop: Any) -> Array:
            maps.setdefault(family, []).append(weights_of(attention.core, q, k, v, mask, bias, scale))
            return attention.core(q, k, v, mask, bias, scale, drop)

        return dataclasses.replace(attention, core=core)

    # What happens inside a scan, or is going to be rematerialised, cannot be handed out of it.
    opened = _each(model, Stack, lambda _, stack: stack.unrolled().replace(remat="none"))
    _run(_each(opened, Attention, watched), inputs, context)
    return {name: jnp.stack(layers) for name, layers in maps.items()}


@jax.jit
def erasure(model: Any, source: Array, target: Array, labels: Array, present: Array, blank: int) -> Array:
    """How much less likely each label becomes, in nats, when one token of the source is blanked [b, t, s].

    Unlike attention it says what an encoder-decoder used, however the encoder has mixed its words.
    """

    def likely(source: Array) -> Array:
        logprobs = jax.nn.log_softmax(model(source, target, present=present))
        return jnp.take_along_axis(logprobs, labels[..., None], -1)[..., 0]

    def without(place: Array) -> Array:
        return likely(jnp.where(jnp.arange(source.shape[1])[None] == place, blank, source))

    lost = likely(source)[None] - jax.lax.map(without, jnp.arange(source.shape[1]))
    return jnp.where(present[:, None], jnp.moveaxis(lost, 0, -1), 0.0)


@jax.jit
def hidden_states(model: Any, *inputs: Array, **context: Any) -> dict[str, Array]:
    """What enters the first block and what leaves each one [layers + 1, b, t, d], by the name of the stack."""
    watched, states = recording(model)
    _run(watched, inputs, context)
    return states


def recording(model: Any) -> tuple[Any, dict[str, Array]]:
    """The same model, and where its hidden states will be found after each call of it."""
    states: dict[str, Array] = {}

    def watched(name: str, stack: Stack) -> Callable[..., tuple[Array, None]]:
        def through(x: Array, *, key: None = None, **context: Any) -> tuple[Array, None]:
            states[name] = stack.hidden(x, **context)
            return states[name][-1], None

        return through

    return _each(model, Stack, watched), states


def weights_of(core: Core, q: Array, k: Array, v: Array, mask: Array | None = None, bias: Array | None = None,
               scale: float | None = None) -> Array:
    """What any core weighs [b, h, t, s], whatever it does inside: given names for values, it answers with their weights.

    The names are unit vectors, as many at a time as a value has room for.
    """
    length, room = v.shape[1], v.shape[-1]
    names = jnp.eye(length, -(-length // room) * room, dtype=v.dtype).reshape(length, -1, room)
    scale = 1.0 / math.sqrt(q.shape[-1]) if scale is None else scale

    def told(some: Array) -> Array:
        return core(q, k, jnp.broadcast_to(some[None, :, None], v.shape), mask, bias, scale, None)

    told_all = jax.vmap(told, in_axes=1, out_axes=-2)(names)
    return told_all.reshape(*told_all.shape[:3], -1)[..., :length].swapaxes(1, 2)


def _run(model: Any, inputs: tuple[Array, ...], context: dict[str, Any]) -> None:
    """A decoder or an encoder-decoder is called; an encoder encodes."""
    (model if callable(model) else model.encode)(*inputs, **context)


def _each(tree: Any, kind: type, change: Callable[[str, Any], Any]) -> Any:
    """Every part of a kind changed, knowing its name."""
    return jax.tree_util.tree_map_with_path(
        lambda path, part: change(name_of(path), part) if isinstance(part, kind) else part,
        tree, is_leaf=lambda part: isinstance(part, kind))


def draw_masks(masks: Mapping[str, Array], tokens: Sequence[str] = ()) -> Figure:
    """Who may look at whom, by title: a square for every query and key, filled where the mask [1, t, s] allows it."""
    shape = np.broadcast_shapes(*(np.shape(mask) for mask in masks.values()))
    shown = {title: np.broadcast_to(np.asarray(mask), shape)[0] for title, mask in masks.items()}
    return _squares(shown, tokens, tokens, ("key: looked at", "query: looks"))


def draw_attention(maps: Mapping[str, Array], tokens: Sequence[str], keys: Sequence[str] | None = None,
                   marked: Sequence[Array] = ()) -> Figure:
    """Weights [t, s] by title, darker where a query listens more; `marked` frames, map by map, where it should.

    The keys are the tokens themselves, unless others are given: those of a source that is attended across to.
    """
    shown = {title: np.asarray(weights, np.float32) for title, weights in maps.items()}
    return _squares(shown, tokens, tokens if keys is None else keys, ("attends to", "at"), marked)


def _squares(shown: Mapping[str, np.ndarray], rows: Sequence[str], columns: Sequence[str],
             names: tuple[str, str], marked: Sequence[Array] = ()) -> Figure:
    across = min(len(shown), 4)
    down = -(-len(shown) // across)
    heights, widths = next(iter(shown.values())).shape
    side = max(2.3, 0.18 * max(heights, widths))
    high = side * min(1.0, heights / widths)
    figure = Figure((across * (side + 0.4), down * (high + 0.8)), dpi=80, layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for axes in grid.flat[len(shown):]:
        axes.set_visible(False)
    for axes, (title, values) in zip(grid.flat, shown.items(), strict=False):
        _square(axes, values, rows, columns)
        axes.set_title(title, fontsize=10)
    for axes, mark in zip(grid.flat, marked, strict=False):
        for row, column in np.argwhere(np.asarray(mark)):
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="tab:red", linewidth=1.2))
    for axes in grid[-1]:
        axes.set_xlabel(names[0])
    for axes in grid[:, 0]:
        axes.set_ylabel(names[1])
    return figure


def _square(axes: Axes, values: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> None:
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1.25 if values.dtype == bool else 1)
    axes.set_xticks(range(len(columns)), list(columns), fontsize=8)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axes.set_xticks(np.arange(values.shape[1] + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(values.shape[0] + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white" if values.dtype == bool else "0.93", linewidth=0.8)
    axes.tick_params(which="both", length=0)
