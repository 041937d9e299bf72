"""Looking inside: what each head attends to and what each block writes, of any model as it is, and pictures of both.

    maps = attention_maps(model, tokens)["attention"]        layers, rows, heads, queries, keys
    draw_attention(maps[1, 0, 2], letters, title="head 2 of the second layer repeats what it has seen")
"""
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from transformer.attention import Attention, weigh
from transformer.stack import Stack

Array = jax.Array


def attention_maps(model: Any, *inputs: Array, **context: Any) -> dict[str, Array]:
    """How much each query listens to each key [layers, b, h, t, s], by the name of the attention.

    A decoder has `attention`, a T5 `encoder.attention`, `decoder.attention` and `decoder.cross`. The weights are those of
    the plain core, whichever core the model computes with; `context` is what the model takes beside its tokens.
    """
    maps: dict[str, list[Array]] = {}

    def watched(name: str, attention: Attention) -> Attention:
        def core(q: Array, k: Array, v: Array, mask: Any, bias: Any, scale: float, drop: Any) -> Array:
            maps.setdefault(name, []).append(weigh(q, k, mask, bias, scale))
            return attention.core(q, k, v, mask, bias, scale, drop)

        return attention.replace(core=core)

    # A layer inside a scan or a rematerialised one could not hand out what it saw.
    open_model = _each(model, Stack, lambda _, stack: stack.unrolled().replace(remat="none"))
    _run(_each(open_model, Attention, watched), inputs, context)
    return {name: jnp.stack(layers) for name, layers in maps.items()}


def hidden_states(model: Any, *inputs: Array, **context: Any) -> dict[str, Array]:
    """What enters the first block and what leaves each one [layers + 1, b, t, d], by the name of the stack."""
    states: dict[str, Array] = {}

    def watched(name: str, stack: Stack) -> Callable[..., Any]:
        def through(x: Array, *, key: None = None, **context: Any) -> Any:
            states[name] = stack.hidden(x, **context)
            return states[name][-1], None

        return through

    _run(_each(model, Stack, watched), inputs, context)
    return states


def _run(model: Any, inputs: tuple[Array, ...], context: dict[str, Any]) -> None:
    """A decoder or an encoder-decoder is called; an encoder encodes."""
    (model if callable(model) else model.encode)(*inputs, **context)


def _each(tree: Any, kind: type, change: Callable[[str, Any], Any]) -> Any:
    """Every part of a kind changed, knowing its name: its path without the stack's own field and the number of the layer."""

    def one(path: tuple[Any, ...], part: Any) -> Any:
        if not isinstance(part, kind):
            return part
        words = jax.tree_util.keystr(path, simple=True, separator=".").split(".")
        return change(".".join(word for word in words if word != "blocks" and not word.isdigit()), part)

    return jax.tree_util.tree_map_with_path(one, tree, is_leaf=lambda part: isinstance(part, kind))


def draw_masks(masks: Mapping[str, Array], tokens: Sequence[str] | None = None) -> Figure:
    """Who may look at whom: a square for every query and key, filled where the mask [t, s] or [1, t, s] allows it."""
    shown = {title: np.asarray(mask).reshape(np.shape(mask)[-2:]) for title, mask in masks.items()}
    return _squares(shown, tokens, tokens, ("key: looked at", "query: looks"), None)


def draw_attention(maps: Mapping[str, Array], tokens: Sequence[str], keys: Sequence[str] | None = None,
                   marked: Array | None = None) -> Figure:
    """Weights [t, s] by title, darker where a query listens more; `marked` frames the squares where they are expected.

    The keys are the tokens themselves, unless others are given: those of a source that is attended across to.
    """
    shown = {title: np.asarray(weights, np.float32) for title, weights in maps.items()}
    return _squares(shown, tokens, tokens if keys is None else keys, ("attends to", "at"), marked)


def _squares(shown: Mapping[str, np.ndarray], rows: Sequence[str] | None, columns: Sequence[str] | None,
             names: tuple[str, str], marked: Array | None) -> Figure:
    across = min(len(shown), 4)
    down = -(-len(shown) // across)
    heights, widths = next(iter(shown.values())).shape
    side = max(2.3, 0.19 * max(heights, widths))
    figure = Figure(figsize=(across * (side + 0.5), down * (side * min(1.0, heights / widths) + 0.9)), dpi=80, layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for axes, (title, values) in zip(grid.flat, shown.items(), strict=False):
        _square(axes, values, rows, columns)
        axes.set_title(title, fontsize=10)
        for row, column in np.argwhere(np.zeros((0, 0)) if marked is None else np.asarray(marked)):
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="tab:red", linewidth=1.2))
    for axes in grid.flat[len(shown):]:
        axes.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel(names[0])
    for axes in grid[:, 0]:
        axes.set_ylabel(names[1])
    return figure


def _square(axes: Axes, values: np.ndarray, rows: Sequence[str] | None, columns: Sequence[str] | None) -> None:
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1.25 if values.dtype == bool else 1)
    axes.set_xticks(range(values.shape[1]), columns, fontsize=8) if columns else axes.set_xticks([])
    axes.set_yticks(range(values.shape[0]), rows, fontsize=8) if rows else axes.set_yticks([])
    axes.set_xticks(np.arange(values.shape[1] + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(values.shape[0] + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white" if values.dtype == bool else "0.93", linewidth=0.8)
    axes.tick_params(which="both", length=0)
