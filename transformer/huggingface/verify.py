"""python -m transformer verify DIR [--json]     does a checkpoint give here what its own implementation gave?

DIR holds a checkpoint, and beside it what the reference answered: meta.json (every call, and how exact each output is)
and io.npz (the arrays CALL.in.NAME and CALL.out.NAME). One line an array: call, array, error, allowed, ok. The error is
the largest difference where the outputs mean something, as a part of the largest value. What is not known is wrong.
"""
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import jax
import jax.numpy as jnp
import numpy as np

from transformer.huggingface import families
from transformer.huggingface.family import Call
from transformer.huggingface.files import read_json
from transformer.huggingface.loading import load
from transformer.mistakes import Mistake

ALLOWED = 1e-5
WHOLE = ("lengths", "beam_indices", "frame_mask")  # whole numbers, compared as they are


@dataclass(frozen=True)
class Judged:
    """One array of one call."""

    call: str
    array: str
    error: float
    allowed: float
    ok: bool
    note: str = ""

    def __str__(self) -> str:
        return (f"{self.call:14} {self.array:34} {self.error:9.2e} {self.allowed:9.2e} {'ok' if self.ok else 'WRONG'}"
                + (f"  {self.note}" if self.note else ""))


def main(directory: str, words: Sequence[str] = ()) -> int:
    """The command: its exit status is 0 only if nothing is wrong."""
    if set(words) - {"--json"}:
        raise Mistake(f"verify takes a directory and --json, not {' '.join(words)}")
    report = print if not words else lambda judged: None
    judgements = []
    for judged in verify(directory):
        judgements.append(judged)
        report(judged)
    wrong = sum(not judged.ok for judged in judgements)
    if words:
        arrays = [{**asdict(one), "error": one.error if math.isfinite(one.error) else None} for one in judgements]
        print(json.dumps({"directory": directory, "arrays": arrays, "wrong": wrong}))
    else:
        print(f"{len(judgements)} arrays, {wrong} wrong")
    return int(wrong > 0 or not judgements)


def verify(directory: str | Path, loaded: Any = None) -> Iterator[Judged]:
    """Every array of every recorded call against the model in the same directory (or another)."""
    directory = Path(directory)
    meta = read_json(directory / "meta.json")
    arrays = _recorded(directory / "io.npz")
    try:
        model, _, config, generation = load(directory, dtype=jnp.float32) if loaded is None else loaded
        answer: Callable[[Any, Call], Mapping[str, Any]] = families.of(config).call
    except Mistake as mistake:
        yield from (judged for call in meta["calls"] for judged in _none(call, str(mistake)))
        return
    for call in meta["calls"]:
        inputs = {name: arrays[key] for name, key in call["inputs"].items()}
        try:
            with jax.default_matmul_precision("highest"):
                given = answer(model, Call(call["kind"], inputs, call.get("kwargs", {}), config, generation))
        except Exception as error:  # whatever went wrong, the other calls are still to be judged
            yield from _none(call, f"{'' if isinstance(error, Mistake) else type(error).__name__ + ': '}{error}")
            continue
        for name in call["outputs"]:
            if name not in given:
                yield from _none({"id": call["id"], "outputs": [name]}, "this model has no such output")
            else:
                yield judge(call["id"], name, np.asarray(given[name]), arrays, meta["arrays"])


def _recorded(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise Mistake(f"there is no {path}, with the arrays that were recorded; it belongs beside meta.json")
    try:
        return dict(np.load(path))
    except (ValueError, OSError, BadZipFile) as error:
        raise Mistake(f"{path} cannot be read ({error}); record it again") from None


def judge(call: str, name: str, got: np.ndarray, arrays: Mapping[str, np.ndarray], known: Mapping[str, Any]) -> Judged:
    """One array, where it means something."""
    key = f"{call}.out.{name}"
    want, about = arrays[key], known.get(key, {})
    if name == "sequences":
        differ = sum(_differ(got, row, want[row], length) for row, length in enumerate(arrays[f"{call}.out.lengths"]))
        note = f"{differ} of {len(want)} rows differ" if differ else ""
        return Judged(call, name, float(differ), 0.0, not differ, note)
    allowed = 0.0 if name in WHOLE else about.get("rtol_of_max", ALLOWED)
    if got.shape != want.shape:
        return Judged(call, name, math.inf, allowed, False, f"shape {got.shape} instead of {want.shape}")
    got, want = got.astype(np.float64), want.astype(np.float64)
    where = _meant(call, name, want, about, arrays)
    got, want = got[where], want[where]
    finite = np.isfinite(want)
    if not np.array_equal(np.isfinite(got), finite) or not np.array_equal(got[~finite], want[~finite], equal_nan=True):
        return Judged(call, name, math.inf, allowed, False, "other entries are infinite")
    got, want = got[finite], want[finite]
    error = float(np.abs(got - want).max() / (np.abs(want).max() or 1.0)) if want.size else 0.0
    return Judged(call, name, error, allowed, error <= allowed)


def _meant(call: str, name: str, want: np.ndarray, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Any:
    """Which entries are compared: no padding, and no steps of a text that has ended."""
    if name in ("step_logits", "step_scores"):
        prompt = arrays[f"{call}.out.sequences"].shape[1] - want.shape[1]
        return np.arange(want.shape[1])[None] < (arrays[f"{call}.out.lengths"] - prompt)[:, None]
    if "mask" not in about:
        return ...
    mask = arrays[about["mask"]["key"]] == 1
    return mask if about["mask"]["axis"] == 0 else (slice(None), mask)


def _differ(got: np.ndarray, row: int, want: np.ndarray, length: int) -> bool:
    return row >= len(got) or got[row][:length].tolist() != want[:length].tolist()


def _none(call: Mapping[str, Any], why: str) -> list[Judged]:
    return [Judged(call["id"], name, math.inf, 0.0, False, why) for name in call["outputs"]]
