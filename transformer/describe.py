"""What a model is: its parts in the order in which a forward pass uses them, and the table of its parameters.

    python -m transformer describe gpt3-175b

Both come from promises alone: no array is made, however large the model.
"""
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import jax
import jax.numpy as jnp

from transformer import knobs
from transformer.costs import jaxprs
from transformer.presets import known
from transformer.training.experiment import Experiment, stages
from transformer.weights import abstract, count, describe, named


def main(name: str, arguments: Sequence[str]) -> int:
    build = known(name)
    (given,) = knobs.parse(arguments, build)
    experiment = next(stages(build(**given)))
    print(f"{type(experiment.model).__name__}: {order(experiment)}", "", *lines(experiment.model), sep="\n")
    return 0


def lines(spec: Any) -> Iterator[str]:
    """Path, shape, axes and count of every weight, then the total."""
    rows = [(name, "×".join(map(str, shape)), " ".join(axis or "-" for axis in axes), f"{number:,}")
            for name, shape, axes, number in describe(spec)]
    rows = [("weight", "shape", "axes", "count"), *rows, ("total", "", "", f"{count(spec):,}")]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, shape, axes, number in rows:
        yield f"{name:{widths[0]}}  {shape:{widths[1]}}  {axes:{widths[2]}}  {number:>{widths[3]}}"


def order(experiment: Experiment) -> str:
    """The parts in the order in which the traced loss uses them: `tokens → 12 × (attention_norm → attention → …) → norm`."""
    shapes = abstract(experiment.model)
    batch = {name: jnp.asarray(value)[None] for name, value in (experiment.data[0] or {}).items()}
    traced = jax.make_jaxpr(lambda model: experiment.loss(model, batch, None)[0])(shapes).jaxpr
    layers = {name: w.shape[0] for name, w in named(experiment.model).items() if w.axes[:1] == ("layers",)}

    def place(name: str) -> tuple[str, str]:
        """The stack that a weight belongs to, if any, and its part in it."""
        if name not in layers:
            return "", name.rpartition(".")[0] or name
        stack, _, inside = name.rpartition("blocks.")
        return f"{layers[name]} × {stack.removesuffix('blocks.').removesuffix('.')}".strip(), inside.partition(".")[0]

    used = [place(name) for name in _uses(traced, dict(zip(traced.invars, named(shapes), strict=True)))]
    told = []
    for stack, group in groupby((one for one, _ in groupby(used)), key=lambda one: one[0]):
        parts = " → ".join(part for _, part in group)
        told.append(f"{stack} ({parts})" if stack else parts)
    return " → ".join(told)


def _uses(jaxpr: Any, names: dict[Any, str]) -> Iterator[str]:
    """The names of weights as equations read them, in order; a weight in another shape or type is the same weight."""
    names = dict(names)
    for equation in jaxpr.eqns:
        read = {at: names[x] for at, x in enumerate(equation.invars) if not hasattr(x, "val") and x in names}
        if equation.primitive.name in SAME and read:
            names[equation.outvars[0]] = read[0]
            continue
        inner = [sub for value in equation.params.values() for sub in jaxprs(value)]
        if not inner:
            yield from read.values()
        for sub in inner[:1]:
            skipped = len(equation.invars) - len(sub.invars)  # what a branch is chosen by stands in front
            yield from _uses(sub, {x: read[at + skipped] for at, x in enumerate(sub.invars) if at + skipped in read})


SAME = ("convert_element_type", "reshape", "transpose", "squeeze", "broadcast_in_dim", "slice", "copy")
