"""A checkpoint's arrays, read one by one straight to where they belong.

Beside the model itself the host holds one array at a time: stacked weights are filled layer by layer, on a CPU in the
very buffer that they keep, elsewhere in a buffer on the device when they are large.
"""
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from transformer.data.tokenizers import Tokenizer
from transformer.huggingface import families, files, names
from transformer.huggingface.config import Config
from transformer.huggingface.family import Family
from transformer.mistakes import Mistake
from transformer.sharding import shardings
from transformer.weights import Weight, name_of, named

PIECE = 128 * 2**20  # bytes: what is larger is put together on an accelerator rather than here

STRIP = 16  # columns: 64 bytes of float32, a line of cache


class Loaded(NamedTuple):
    model: Any
    tokenizer: Tokenizer | None
    config: dict[str, Any]
    generation: dict[str, Any]


class Source(NamedTuple):
    """Where a weight, or one of those stacked in it, lies: the which-th part of an array of theirs."""

    pair: names.Pair
    array: files.Stored
    which: int

    def read(self) -> np.ndarray:
        return self.pair.here(self.array.read())[self.which]


def load(directory: str | Path, mesh: Mesh | None = None, dtype: Any = None) -> Loaded:
    """A model as save_pretrained wrote it, on a mesh or not, in the types of the file or in the one given.

    `model, *_ = load("gpt2")`, where gpt2 is a directory: with config.json, the weights in safetensors, and what there
    is of tokenizer.json and generation_config.json.
    """
    directory = Path(directory)
    spec, family, config = described(directory)
    found = names.matched(names.pairs(family.rows, spec), files.stored(directory), family.prefix, family.copies,
                          family.ignored, str(directory))
    model = filled(spec, found, mesh, dtype)
    tokenizer, generation = directory / "tokenizer.json", directory / "generation_config.json"
    return Loaded(model, Tokenizer.load(tokenizer, multiple=1, literal=False) if tokenizer.is_file() else None, config,
                  files.read_json(generation, {}))


def specified(family: Family, settings: Config) -> Any:
    """The spec that settings ask for, each of them known and used."""
    try:
        spec = family.read(settings)
        if not all(isinstance(length, int) and length > 0 for w in jax.tree.leaves(spec) for length in w.shape):
            raise ValueError("a size that is no positive whole number")
    except Mistake:
        raise
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise Mistake(f"{settings.where} has a setting whose value no {family.kind} can have ({error}); "
                      f"compare it with the config.json of a published one") from None
    settings.settle()
    return spec


def described(directory: Path) -> tuple[Any, Family, dict[str, Any]]:
    """What a directory promises: a spec, of which family, and the settings themselves."""
    config = files.read_json(directory / "config.json")
    family = families.of(config)
    told = family.told(config, files.stored(directory))
    return specified(family, Config(told, str(directory / "config.json"))), family, config


def filled(spec: Any, found: list[tuple[names.Pair, files.Stored]], mesh: Mesh | None, dtype: Any) -> Any:
    """The model that a spec promises, from arrays in files."""
    sources: dict[str, dict[tuple[int, ...], Source]] = {}
    for pair, array in found:
        for which, part in enumerate(pair.parts):
            sources.setdefault(part.path, {})[part.index] = Source(pair, array, which)
    places = named(shardings(spec, mesh)) if mesh is not None else {}

    def one(path: tuple[Any, ...], w: Weight) -> jax.Array:
        own = sources[name_of(path)]
        kind = np.dtype(dtype or np.result_type(*{_readable(source.array.dtype) for source in own.values()}))
        if mesh is None:
            return _placed(own, w, (slice(None),) * len(w.shape), kind, None)
        sharding = places[name_of(path)]
        pieces = [_placed(own, w, index, kind, device)
                  for device, index in sharding.addressable_devices_indices_map(w.shape).items()]
        return jax.make_array_from_single_device_arrays(w.shape, sharding, pieces)

    return jax.tree_util.tree_map_with_path(one, spec)


def _placed(own: Mapping[tuple[int, ...], Source], w: Weight, index: tuple[slice, ...], kind: np.dtype,
            device: Any) -> jax.Array:
    """One device's piece of a weight."""
    ranges = [range(*cut.indices(length)) for cut, length in zip(index, w.shape, strict=True)]
    shape = tuple(map(len, ranges))
    stacked = len(next(iter(own)))
    if keeps(device) or not stacked or math.prod(shape) * kind.itemsize <= PIECE:
        host = _empty(shape, kind)
        for place, source in _within(own, ranges[:stacked]):
            _copy(host[(*place, ...)], source.read()[index[stacked:]])
        return jax.device_put(host, device)
    buffer = jax.device_put(jnp.zeros(shape, kind), device)
    for place, source in _within(own, ranges[:stacked]):
        host = np.empty(shape[stacked:], kind)
        _copy(host, source.read()[index[stacked:]])
        piece = jax.device_put(host, device)
        buffer = _put(buffer, piece, tuple(map(np.int32, place)))
        buffer.block_until_ready()  # the transfer still reads the host's copy until then
    return buffer


def keeps(device: Any) -> bool:
    """Whether what the host puts together is used as it is, without a transfer."""
    return (device or jax.devices()[0]).platform == "cpu"


def _within(own: Mapping[tuple[int, ...], Source], ranges: list[range]) -> Iterator[tuple[tuple[int, ...], Source]]:
    """The sources of a piece, and where in it each belongs."""
    for place in np.ndindex(*map(len, ranges)):
        yield place, own[tuple(numbers[at] for numbers, at in zip(ranges, place, strict=True))]


@jax.jit(donate_argnums=0)
def _put(buffer: jax.Array, piece: jax.Array, place: tuple[Any, ...]) -> jax.Array:
    piece = piece.reshape((1,) * len(place) + piece.shape)
    return jax.lax.dynamic_update_slice(buffer, piece, (*place, *(0,) * (buffer.ndim - len(place))))


def _copy(to: np.ndarray, array: np.ndarray) -> None:
    """What is turned on its way is copied in strips, or every number would cost a line of the processor's cache."""
    nearest = int(np.argmin(array.strides)) if array.size and array.ndim > 1 else array.ndim - 1
    if nearest == array.ndim - 1:
        to[...] = array
        return
    to, array = (np.moveaxis(one, (nearest, -1), (-2, -1)) for one in (to, array))
    for place in np.ndindex(array.shape[:-2]):
        for start in range(0, array.shape[-1], STRIP):
            to[place][:, start:start + STRIP] = array[place][:, start:start + STRIP]


def _empty(shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
    """Uninitialised, aligned so that JAX on a CPU takes the buffer as it is."""
    raw = np.empty(math.prod(shape) * kind.itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start:start + math.prod(shape) * kind.itemsize].view(kind).reshape(shape)


def _readable(kind: np.dtype) -> np.dtype:
    """JAX keeps no 64 bits."""
    return np.dtype(np.float32) if kind == np.float64 else kind
