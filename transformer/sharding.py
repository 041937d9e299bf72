"""Where arrays live: axes have names, and one dict of rules says over which part of the mesh each is split.

    with use(mesh_of("data=2,fsdp=2,tensor=2")):
        model = jax.jit(initialise, static_argnums=0, out_shardings=shardings(spec))(spec, key)
"""
import contextlib
import contextvars
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from transformer.mistakes import Mistake
from transformer.weights import Weight, name_of

Rules = Mapping[str, str | tuple[str, ...]]

# Weights: `embed` is split over fsdp, and what tensor parallelism splits lies along `tensor`. Activations: rows over both
# kinds of data parallelism. A mesh axis serves one array axis at most, the first that asks.
RULES: Rules = {
    "batch": ("data", "fsdp"),
    "length": "sequence",
    "embed": "fsdp",
    "heads": "tensor",
    "groups": "tensor",
    "mlp": "tensor",
    "vocab": "tensor",
    "experts": "expert",
    "layers": "stage",
}

_rules: contextvars.ContextVar[Rules] = contextvars.ContextVar("rules", default=RULES)


def mesh_of(text: str, devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh from `data=2,fsdp=4`; one length may be -1 for "the rest"."""
    devices = jax.devices() if devices is None else devices
    known = sorted({axis for axes in RULES.values() for axis in ([axes] if isinstance(axes, str) else axes)})
    lengths: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        if name not in known or name in lengths or not re.fullmatch("-1|[1-9][0-9]*", number):
            raise Mistake(f"mesh {text!r}: cannot read {part!r}; write axis=number once for each of {', '.join(known)}")
        lengths[name] = int(number)
    fixed = math.prod(n for n in lengths.values() if n > 0)
    free = [name for name, n in lengths.items() if n == -1]
    if len(free) == 1 and len(devices) % fixed == 0:
        lengths[free[0]] = len(devices) // fixed
    elif free or fixed != len(devices):
        raise Mistake(f"mesh {text!r} asks for {fixed} devices, but there are {len(devices)}; "
                      f"change a length, or write -1 for one axis to let it take the rest")
    grid = np.asarray(devices).reshape(tuple(lengths.values()))
    return Mesh(grid, tuple(lengths), axis_types=(AxisType.Auto,) * len(lengths))


@contextlib.contextmanager
def use(mesh: Mesh | None, rules: Rules = RULES) -> Iterator[None]:
    """Everything inside is laid out on this mesh by these rules; without a mesh nothing changes."""
    token = _rules.set(rules)
    try:
        with jax.set_mesh(mesh) if mesh is not None else contextlib.nullcontext():
            yield
    finally:
        _rules.reset(token)


def spec(axes: tuple[str | None, ...], mesh: Any, shape: tuple[int, ...] | None = None, what: str = "") -> PartitionSpec:
    """The mesh axes of each array axis; a length that does not divide is a mistake said by name."""
    taken: set[str] = set()
    parts: list[tuple[str, ...] | None] = []
    for place, axis in enumerate(axes):
        part = tuple(name for name in _wanted(axis) if name in mesh.shape and name not in taken and mesh.shape[name] > 1)
        taken.update(part)
        pieces = math.prod(mesh.shape[name] for name in part)
        if shape and shape[place] % pieces:
            raise Mistake(f"{what or 'an array'}: axis {axis!r} has length {shape[place]}, which {'·'.join(part)}={pieces} "
                          f"of the mesh does not divide; change that length or the mesh")
        parts.append(part or None)
    return PartitionSpec(*parts)


def ways(axis: str, mesh: Mesh) -> int:
    """Over how many devices an array axis of this name is split."""
    return math.prod(mesh.shape.get(name, 1) for name in _wanted(axis))


def shard(x: jax.Array, *axes: str | None) -> jax.Array:
    """Lays an activation out by the names of its axes; does nothing without a mesh."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return x
    layout = spec(axes, mesh)
    if all(kind == AxisType.Explicit for kind in mesh.axis_types):
        return jax.reshard(x, layout)
    return jax.lax.with_sharding_constraint(x, layout)


def shardings(tree: Any, mesh: Mesh) -> Any:
    """One sharding a weight, in the same tree."""

    def one(path: tuple[Any, ...], w: Weight) -> NamedSharding:
        return NamedSharding(mesh, spec(w.axes, mesh, w.shape, name_of(path)))

    return jax.tree_util.tree_map_with_path(one, tree)


def _wanted(axis: str | None) -> tuple[str, ...]:
    mesh_axes = _rules.get().get(axis, ()) if axis else ()
    return (mesh_axes,) if isinstance(mesh_axes, str) else mesh_axes
