"""safetensors files: a header that says where each array lies, then their bytes; read and written array by array."""
import json
import os
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from transformer.mistakes import Mistake

TYPES: dict[str, Any] = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16, "BOOL": np.bool_,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
    "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8,
}
NAMES = {np.dtype(kind): name for name, kind in TYPES.items()}
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "*.bin", "*.pt", "*.pth", "*.ckpt")


@dataclass(frozen=True)
class Stored:
    """An array in a file: nothing is read before it is asked for."""

    file: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype

    def read(self) -> np.ndarray:
        """A view of the file, whose pages are given back with it."""
        if 0 in self.shape:
            return np.zeros(self.shape, self.dtype)
        return np.memmap(self.file, self.dtype, "r", self.offset, self.shape)


@dataclass(frozen=True)
class Pending:
    """An array to be written: it is made when its turn comes."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    make: Callable[[], np.ndarray]

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def stored(directory: Path) -> dict[str, Stored]:
    """Every array of a checkpoint by name, from one file or from several with an index."""
    if (directory / INDEX).is_file():
        index = read_json(directory / INDEX).get("weight_map")
        if not isinstance(index, dict):
            raise Mistake(f"{directory / INDEX} has no weight_map that says which file holds which array")
        files = sorted(set(index.values()))
        absent = [file for file in files if not (directory / file).is_file()]
        if absent:
            raise Mistake(f"{directory / INDEX} names {', '.join(absent)}, not there; "
                          f"put the whole checkpoint in {directory}")
        found = {name: array for file in files for name, array in header(directory / file).items()}
        lost = sorted(index.keys() - found.keys())
        if lost:
            raise Mistake(f"{directory / INDEX} names arrays that are in none of its files: {', '.join(lost)}")
        return found
    if (directory / WHOLE).is_file():
        return header(directory / WHOLE)
    pickles = sorted({path.name for pattern in PICKLES for path in directory.glob(pattern)})
    if pickles:
        raise Mistake(f"{directory} has only {', '.join(pickles)}: a pickle, which runs whatever code its writer put "
                      f"into it as soon as it is opened; where you trust it, open it with torch and save it as {WHOLE}")
    raise Mistake(f"{directory} has neither {WHOLE} nor {INDEX}; give a directory with config.json and one of them")


def header(path: Path) -> dict[str, Stored]:
    """What a file holds, checked against its length."""
    length = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
        begin = 8 + struct.unpack("<Q", first)[0] if len(first) == 8 else 8
        text = file.read(begin - 8) if 8 < begin <= length else b""
    if not text:
        raise Mistake(f"{path} is no safetensors file, or is cut short within its header ({length:,} bytes); "
                      f"fetch it again")
    try:
        entries = {name: entry for name, entry in json.loads(text).items() if name != "__metadata__"}
        arrays = {name: _entry(path, begin, entry) for name, entry in entries.items()}
        spans = sorted(entry["data_offsets"] for entry in entries.values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Mistake(f"{path} is no safetensors file: its header cannot be read ({error}); fetch it again") from None
    end = 0
    for start, stop in spans:
        if start != end:
            raise Mistake(f"{path} is damaged: its arrays overlap or leave a hole at byte {begin + end:,}; "
                          f"fetch it again")
        end = stop
    if begin + end != length:
        said = "cut short" if length < begin + end else "longer than it says"
        raise Mistake(f"{path} is {said}: its header speaks of {begin + end:,} bytes, {length:,} are there; "
                      f"fetch it again")
    return arrays


def write(directory: Path, arrays: Sequence[Pending], limit: int) -> None:
    """One file, or beyond `limit` bytes several with an index; each appears whole, an older checkpoint goes away."""
    directory.mkdir(parents=True, exist_ok=True)
    parts: list[list[Pending]] = [[]]
    for array in arrays:
        if parts[-1] and sum(one.nbytes for one in parts[-1]) + array.nbytes > limit:
            parts.append([])
        parts[-1].append(array)
    numbered = [f"model-{n + 1:05}-of-{len(parts):05}.safetensors" for n in range(len(parts))]
    names = [WHOLE] if len(parts) == 1 else numbered
    for name, part in zip(names, parts, strict=True):
        _write(directory / f"{name}.partial", part)
    for name in names:
        (directory / f"{name}.partial").replace(directory / name)
    if len(parts) == 1:
        (directory / INDEX).unlink(missing_ok=True)
    else:
        total = sum(array.nbytes for array in arrays)
        write_json(directory / INDEX, {"metadata": {"total_size": total}, "weight_map": {
            array.name: name for name, part in zip(names, parts, strict=True) for array in part}})
    for old in {WHOLE, *(path.name for path in directory.glob("model-*-of-*.safetensors"))} - set(names):
        (directory / old).unlink(missing_ok=True)


def read_json(path: Path, otherwise: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object; where there is no file, what is given `otherwise`."""
    if not path.is_file():
        if otherwise is not None:
            return otherwise
        raise Mistake(f"there is no {path}; give a directory as save_pretrained writes it")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Mistake(f"{path} is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise Mistake(f"{path} is no JSON object: it holds a {type(values).__name__}")
    return values


def write_json(path: Path, values: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(path)


def _entry(path: Path, begin: int, entry: dict[str, Any]) -> Stored:
    (start, stop), shape = entry["data_offsets"], tuple(entry["shape"])
    if entry["dtype"] not in TYPES:
        raise Mistake(f"{path} holds arrays of type {entry['dtype']}; quantised checkpoints cannot be read, "
                      f"only {', '.join(TYPES)}")
    kind = np.dtype(TYPES[entry["dtype"]])
    if stop - start != int(np.prod(shape, dtype=np.int64)) * kind.itemsize:
        raise ValueError(f"shape {shape} of {entry['dtype']} does not fill {stop - start} bytes")
    return Stored(path, begin + start, shape, kind)


def _write(path: Path, arrays: Iterable[Pending]) -> None:
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # without which transformers refuses the file
    end = 0
    for array in arrays:
        span = (end, end + array.nbytes)
        entries[array.name] = {"dtype": NAMES[array.dtype], "shape": array.shape, "data_offsets": span}
        end += array.nbytes
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays:
            file.write(np.ascontiguousarray(array.make()).reshape(-1).view(np.uint8).data)
        file.flush()
        os.fsync(file.fileno())
