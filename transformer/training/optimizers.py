"""Optimizers and schedules, by path: which weights decay, which learn slower, which stay frozen.

Any optax optimizer serves as well. Beware: optax calls a tree that can be called, and a model can be: its masks and labels
are always passed as functions of the parameters.
"""
import math
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax.contrib import MuonDimensionNumbers, scale_by_muon

from transformer.mistakes import Mistake
from transformer.weights import Weight, inputs, name_of, named, repeats

Rate = float | optax.Schedule
MATRICES = ("*kernel", "*table")


def adamw(rate: Rate, betas: tuple[float, float] = (0.9, 0.95), epsilon: float = 1e-8, decay: float = 0.1,
          **rest: Any) -> optax.GradientTransformation:
    return assemble(optax.scale_by_adam(*betas, eps=epsilon), rate, decay=decay, **rest)


def adafactor(rate: Rate, decay: float = 0.0, **rest: Any) -> optax.GradientTransformation:
    """Second moments by rows and columns only, updates scaled to each weight's own size."""
    direction = optax.chain(optax.scale_by_factored_rms(), optax.clip_by_block_rms(1.0), optax.scale_by_param_block_rms())
    return assemble(direction, rate, decay=decay, **rest)


def lion(rate: Rate, betas: tuple[float, float] = (0.9, 0.99), decay: float = 0.1, **rest: Any) -> optax.GradientTransformation:
    return assemble(optax.scale_by_lion(*betas), rate, decay=decay, **rest)


def muon(spec: Any, rate: Rate, momentum: float = 0.95, decay: float = 0.1, adam: float = 0.1,
         **rest: Any) -> optax.GradientTransformation:
    """Orthogonalised momentum for the matrices inside; Adam, at `adam` times the rate, for tables, heads and vectors.

    The spec says which axes of a matrix are its inputs, and that layers are a stack of matrices, not an axis of one.
    """
    inside: dict[str, Any] = {name: _matrix(w) for name, w in named(spec).items() if fnmatch(name, "*blocks.*kernel")}

    def label(params: Any) -> Any:
        return by_name(params, lambda name: "muon" if name in inside else "adam")

    directions: dict[Any, optax.GradientTransformation] = {
        # The factor gives an update the size Adam's would have, so that rates and decay mean the same for both.
        "muon": optax.chain(
            scale_by_muon(beta=momentum, weight_dimension_numbers=lambda params: by_name(params, inside.get)), _like_adam(inside)),
        "adam": optax.chain(optax.scale_by_adam(0.9, 0.95), optax.scale(adam))}
    return assemble(optax.partition(directions, label), rate, decay=decay, **rest)


def fitting(spec: Any, rate: float, steps: int, adam: float, gentle: bool = False) -> optax.GradientTransformation:
    """Muon; for what has read much elsewhere, gently: AdamW at a 500th of the rate, lest it forget."""
    if gentle:
        return adamw(warmup_cosine(rate / 500, steps, warmup=steps // 10))
    return muon(spec, warmup_cosine(rate, steps, warmup=steps // 10), adam=adam)


def assemble(direction: optax.GradientTransformation, rate: Rate, *, clip: float | None = 1.0, decay: float = 0.0,
             decayed: Sequence[str] = MATRICES, rates: Mapping[str, float] | None = None,
             frozen: Sequence[str] = (), only: Sequence[str] = ()) -> optax.GradientTransformation:
    """Clip, direction, decay of what is named in `decayed`, then the rate, times that of the first pattern in `rates`.

    What is `frozen` stays as it is; where it says `only`, all else does too.
    """

    def own_rate(updates: Any) -> Any:
        return by_name(updates, lambda name: next((r for p, r in (rates or {}).items() if fnmatch(name, p)), 1.0))

    learning = optax.chain(
        optax.clip_by_global_norm(clip) if clip else optax.identity(),
        direction,
        optax.add_decayed_weights(decay, lambda params: by_name(params, lambda name: _any(name, decayed))),
        optax.stateless(lambda updates, params: jax.tree.map(lambda u, r: u * r, updates, own_rate(updates)))
        if rates else optax.identity(),
        optax.scale_by_learning_rate(rate))
    if not frozen and not only:
        return learning

    def label(params: Any) -> Any:
        _check(params, "frozen", frozen)
        _check(params, "only", only)
        return by_name(params, lambda name: "learning" if learns(name, frozen, only) else "frozen")

    return optax.partition({"learning": learning, "frozen": optax.set_to_zero()}, label)


def learns(name: str, frozen: Sequence[str] = (), only: Sequence[str] = ()) -> bool:
    """Whether a weight of this name is trained."""
    return not _any(name, frozen) and (not only or _any(name, only))


def by_name(tree: Any, value: Callable[[str], Any]) -> Any:
    """The same tree with a value for every leaf's name."""
    return jax.tree_util.tree_map_with_path(lambda path, _: value(name_of(path)), tree)


def warmup_cosine(peak: float, steps: int, warmup: int, floor: float = 0.0) -> optax.Schedule:
    """Up in a line from zero, down in half a cosine to `floor` times the peak."""
    return optax.join_schedules(
        [optax.linear_schedule(0.0, peak, warmup), optax.cosine_decay_schedule(peak, max(steps - warmup, 1), floor)], [warmup])


def warmup_stable_decay(peak: float, steps: int, warmup: int, decay: int) -> optax.Schedule:
    """Up in a line, flat for most of the run, down in a line to zero over the last `decay` steps."""
    return optax.join_schedules(
        [optax.linear_schedule(0.0, peak, warmup), optax.constant_schedule(peak), optax.linear_schedule(peak, 0.0, decay)],
        [warmup, steps - decay])


def inverse_root(peak: float, warmup: int) -> optax.Schedule:
    """The 2017 schedule: up in a line, then down with one over the square root of the step."""
    return lambda step: peak * jnp.minimum((step + 1) / warmup, jnp.sqrt(warmup / (step + 1)))


def _matrix(w: Weight) -> MuonDimensionNumbers:
    """Which axes are multiplied away and which come out, found by where the fan-in is used up."""
    start = repeats(w)
    end = start + inputs(w)
    return MuonDimensionNumbers(tuple(range(start, end)), tuple(range(end, len(w.shape))))


def _like_adam(inside: Mapping[str, Any]) -> optax.GradientTransformation:
    def scale(name: str, update: jax.Array) -> jax.Array:
        longest = max(math.prod(update.shape[axis] for axis in axes) for axes in inside[name])
        return 0.2 * longest**0.5 * update

    return optax.stateless(lambda updates, _: jax.tree_util.tree_map_with_path(
        lambda path, update: scale(name_of(path), update), updates))


def _any(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _check(params: Any, what: str, patterns: Sequence[str]) -> None:
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in named(params)):
            raise Mistake(f"{what} {pattern!r} matches no weight; there are {', '.join(sorted(named(params)))}")
