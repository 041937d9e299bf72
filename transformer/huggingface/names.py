"""How Hugging Face calls and lays out each weight of ours: rows that are read in both directions.

    Row("h.{layer}.ln_1.weight", "blocks.blocks.{layer}.attention_norm.scale", vector)

A row counts where its weights are in the model, so that one table serves with and without biases, heads, tied tables.
`{layer}` in our path is there for blocks kept as a tuple; of stacked blocks it is the first axis.
"""
import dataclasses
import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import numpy as np

from transformer.huggingface.files import Stored
from transformer.mistakes import Mistake
from transformer.weights import Weight, inputs, named

# A layout gathers our axes into theirs: each of their axes is the product of some of ours, in their order.
Layout = Callable[[Weight], tuple[tuple[int, ...], ...]]


def as_is(w: Weight) -> tuple[tuple[int, ...], ...]:
    """Axis by axis: tables, norms."""
    return tuple((axis,) for axis in range(len(w.shape)))


def vector(w: Weight) -> tuple[tuple[int, ...], ...]:
    """All axes in one: biases."""
    return (tuple(range(len(w.shape))),)


def linear(w: Weight) -> tuple[tuple[int, ...], ...]:
    """torch's Linear: [out, in]."""
    return _outputs(w), tuple(range(inputs(w)))


def conv1d(w: Weight) -> tuple[tuple[int, ...], ...]:
    """OpenAI's Conv1D, which is a Linear that is kept [in, out]."""
    return tuple(range(inputs(w))), _outputs(w)


def reversed_axes(w: Weight) -> tuple[tuple[int, ...], ...]:
    """torch's convolutions, [out, in, ...space reversed]: ours are [space..., in, out]."""
    return tuple((axis,) for axis in reversed(range(len(w.shape))))


def after_ones(count: int) -> Layout:
    """As it is, behind axes of length one."""
    return lambda w: ((),) * count + as_is(w)


@dataclass(frozen=True)
class Row:
    """One of their names, our path or the paths that lie side by side in it, `along` one of its axes, and how.

    Where what a weight is called depends on another of ours, the row counts only `beside` it, or `without` it.
    """

    theirs: str
    ours: str | tuple[str, ...]
    layout: Layout = linear
    along: int = 0
    beside: str | None = None
    without: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.ours,) if isinstance(self.ours, str) else self.ours


@dataclass(frozen=True)
class Part:
    """A weight of ours, or one of those stacked in it: `w` promises it alone."""

    path: str
    index: tuple[int, ...]
    w: Weight


@dataclass(frozen=True)
class Pair:
    """One array of theirs, and the parts of ours that are in it."""

    theirs: str
    parts: tuple[Part, ...]
    layout: Layout
    along: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Theirs."""
        shapes = [_gathered(self.layout(part.w), part.w.shape) for part in self.parts]
        return tuple(sum(lengths) if axis == self.along else lengths[0]
                     for axis, lengths in enumerate(zip(*shapes, strict=True)))

    def here(self, theirs: np.ndarray) -> list[np.ndarray]:
        """Our parts, as views of theirs."""
        if len(self.parts) == 1:
            return [self._one(theirs, self.parts[0])]
        lengths = [_gathered(self.layout(part.w), part.w.shape)[self.along] for part in self.parts]
        cuts = np.split(theirs, list(itertools.accumulate(lengths))[:-1], self.along)
        return [self._one(cut, part) for cut, part in zip(cuts, self.parts, strict=True)]

    def there(self, ours: Sequence[np.ndarray]) -> np.ndarray:
        """Their array, from our parts."""
        arrays = []
        for array, part in zip(ours, self.parts, strict=True):
            groups = self.layout(part.w)
            arrays.append(array.transpose(_flat(groups)).reshape(_gathered(groups, part.w.shape)))
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, self.along)

    def _one(self, theirs: np.ndarray, part: Part) -> np.ndarray:
        order = _flat(self.layout(part.w))
        return theirs.reshape([part.w.shape[axis] for axis in order]).transpose(np.argsort(order).tolist())


def pairs(rows: Iterable[Row], spec: Any) -> list[Pair]:
    """Their arrays for every weight of a spec."""
    promises = named(spec)
    found = [pair for row in rows for pair in _of_row(row, promises)]
    covered = {part.path for pair in found for part in pair.parts}
    if promises.keys() - covered:
        raise Mistake(f"Hugging Face has no name for {', '.join(sorted(promises.keys() - covered))}; "
                      f"only a model whose parts are those of its family can be saved there")
    return found


def matched(wanted: Sequence[Pair], there: Mapping[str, Stored], prefix: str, copies: Mapping[str, str],
            ignored: Iterable[str], where: str) -> list[tuple[Pair, Stored]]:
    """Each pair with its array in a file; all that is missing, left over or of another shape is said at once."""
    spelled = {_spelling(name, prefix): name for name in there}
    sources = {_spelling(copy, prefix): _spelling(source, prefix) for copy, source in copies.items()}
    stand_in = {source: copy for copy in reversed(sources) if copy in spelled for source in _above(copy, sources)}
    result, missing, misshapen, used = [], [], [], set()
    for pair in wanted:
        key = _spelling(pair.theirs, prefix)
        key = key if key in spelled else stand_in.get(key, key)
        used.add(key)
        if key not in spelled:
            missing.append(f"{pair.theirs} (our {', '.join(part.path for part in pair.parts)})")
        elif there[spelled[key]].shape != pair.shape:
            misshapen.append(f"{spelled[key]} is {_said(there[spelled[key]].shape)} instead of {_said(pair.shape)} "
                             "(our " + ", ".join(f"{part.path} {_said(part.w.shape)}" for part in pair.parts) + ")")
        else:
            result.append((pair, there[spelled[key]]))
    extra = [spelled[key] for key in spelled.keys() - used
             if key in sources or not any(fnmatch(key, _spelling(pattern, prefix)) for pattern in ignored)]
    left = [name for name in extra if not _same(_spelling(name, prefix), sources, spelled, there)]
    wrongs = [f"{what}: {'; '.join(sorted(names))}" for what, names in
              (("missing", missing), ("of another shape", misshapen), ("left over", left)) if names]
    if wrongs:
        raise Mistake(f"the arrays in {where} are not those that config.json speaks of, and nothing was loaded. "
                      + ". ".join(wrongs))
    return result


def prefixed(rows: Iterable[Row], theirs: str = "", ours: str = "") -> tuple[Row, ...]:
    """The same rows of a model that is a part of another."""
    return tuple(dataclasses.replace(row, theirs=theirs + row.theirs, ours=tuple(ours + path for path in row.paths),
                                     beside=row.beside and ours + row.beside, without=row.without and ours + row.without)
                 for row in rows)


def _of_row(row: Row, promises: Mapping[str, Weight]) -> Iterator[Pair]:
    """One pair for each layer (and expert) that the model has."""
    if row.beside and not _has(row.beside, promises) or row.without and _has(row.without, promises):
        return
    places = re.findall(r"{(\w+)}", row.theirs)
    options = [list(_parts(path, places, promises)) for path in row.paths]
    for parts in zip(*options, strict=True):
        numbers = parts[0][0]
        yield Pair(row.theirs.format(**dict(zip(places, numbers, strict=True))), tuple(part for _, part in parts),
                   row.layout, row.along)


def _parts(path: str, places: list[str], promises: Mapping[str, Weight]) -> Iterator[tuple[tuple[int, ...], Part]]:
    """What a path of ours means, with the number of each place; nothing where the model has no such weight."""
    together = path.replace("{layer}.", "")
    if together in promises:
        yield from _stacked(together, (), len(places), promises[together])
        return
    for layer in sorted(_layers(path, promises)):
        whole = path.format(layer=layer)
        yield from _stacked(whole, (layer,), len(places) - 1, promises[whole])


def _stacked(path: str, before: tuple[int, ...], axes: int, w: Weight) -> Iterator[tuple[tuple[int, ...], Part]]:
    alone = Weight(w.shape[axes:], w.axes[axes:], w.initialiser, w.fan_in)
    for index in np.ndindex(w.shape[:axes]):
        yield (*before, *index), Part(path, index, alone)


def _has(path: str, promises: Mapping[str, Weight]) -> bool:
    return path.replace("{layer}.", "") in promises or next(_layers(path, promises), None) is not None


def _layers(path: str, promises: Mapping[str, Weight]) -> Iterator[int]:
    pattern = re.compile(re.escape(path).replace(re.escape("{layer}"), r"(\d+)"))
    return (int(match[1]) for match in map(pattern.fullmatch, promises) if match) if "{layer}" in path else iter(())


def _spelling(name: str, prefix: str) -> str:
    """A name without what files do differently: the base model's prefix, TensorFlow's gamma and beta."""
    name = name.removeprefix(prefix)
    return re.sub(r"\.beta$", ".bias", re.sub(r"\.gamma$", ".weight", name))


def _same(key: str, sources: Mapping[str, str], spelled: Mapping[str, str], there: Mapping[str, Stored]) -> bool:
    """Whether this is a copy of an array that is there too."""
    sourced = next((source for source in _above(key, sources) if source in spelled), None)
    if sourced is None:
        return False
    copy, source = (there[spelled[name]] for name in (key, sourced))
    return copy.shape == source.shape and copy.dtype == source.dtype and np.array_equal(copy.read(), source.read())


def _above(key: str, sources: Mapping[str, str]) -> Iterator[str]:
    """What it is a copy of, what that is a copy of, and so on."""
    while key in sources:
        key = sources[key]
        yield key


def _outputs(w: Weight) -> tuple[int, ...]:
    return tuple(range(inputs(w), len(w.shape)))


def _flat(groups: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    return tuple(axis for group in groups for axis in group)


def _gathered(groups: tuple[tuple[int, ...], ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[axis] for axis in group) for group in groups)


def _said(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a number"
