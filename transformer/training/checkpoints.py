"""Checkpoints: saved in the background, whole or not at all, and restored onto any mesh."""
import contextlib
import errno
import json
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from transformer.mistakes import Mistake
from transformer.training import machine
from transformer.weights import named

_policies: Any = ocp.training.preservation_policies
_every: Any = ocp.training.save_decision_policies.FixedIntervalPolicy(1)

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
UNREADABLE = (OSError, ValueError, KeyError, TypeError)  # what reading a damaged checkpoint may raise
SIGNS = ("No space left", "File too large", "Disk quota", "RESOURCE_EXHAUSTED")


class DiskFull(OSError):
    """Something could not be written; the checkpoints before it are whole."""


class Checkpoints:
    """The checkpoints of a run: the last `keep`, and the best by held-out loss."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        logging.getLogger("absl").setLevel(logging.CRITICAL)  # what Orbax logs as an error, it raises as well
        self.folder = folder
        _drop_broken_metrics(folder)
        best = _policies.BestN(get_metric_fn=lambda m: -m["loss"], n=1, keep_checkpoints_without_metrics=False)
        self._checkpointer = ocp.training.Checkpointer(
            str(folder.absolute()), save_decision_policy=_every, cleanup_tmp_directories=True,
            preservation_policy=_policies.AnyPreservationPolicy([_policies.LatestN(keep), best]))

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with room_in(self.folder):
            self._checkpointer.close()

    def save(self, step: int, state: Any, loss: float | None = None) -> None:
        """Begins to save; returns as soon as training may go on."""
        if step in self.steps():
            return
        with room_in(self.folder):
            self._checkpointer.save_async(step, state, metrics=None if loss is None else {"loss": loss})

    def wait(self) -> None:
        """Until what was begun is on the disk."""
        with room_in(self.folder):
            self._checkpointer.wait()

    def steps(self) -> list[int]:
        return sorted(checkpoint.step for checkpoint in self._checkpointer.checkpoints)

    def best(self) -> int | None:
        """The step with the lowest held-out loss."""
        losses = _losses(self._checkpointer)
        return min(losses, key=lambda step: (losses[step], -step)) if losses else None

    def restore(self, promised: Any, step: int | None = None) -> Any:
        """The newest state that is whole (or that of `step`), in the shapes, types and places promised."""
        wanted = self.steps()[::-1] if step is None else [step]
        for number in wanted:
            try:
                return _loaded(self._checkpointer, self.folder, number, promised)
            except Mistake:
                raise
            except UNREADABLE as error:
                machine.say(f"checkpoint {number} in {self.folder} is damaged ({_reason(error)}); "
                            f"put aside as damaged-{number}, trying the one before it")
                self._put_aside(number)
        raise Mistake(f"no checkpoint in {self.folder} can be restored ({len(wanted)} tried); start the run again without --resume")

    def _put_aside(self, step: int) -> None:
        """Makes room for another checkpoint of this step, and deletes nothing that a person may want to look at."""
        if jax.process_index() == 0 and (self.folder / str(step)).exists():
            (self.folder / str(step)).rename(self.folder.parent / f"damaged-{step}")
        machine.meet(f"damaged {step}")
        self._checkpointer.reload()


def measured(folder: Path, promised: Any, validated: bool) -> Any:
    """The state that a run measures: the newest, or if it is `validated` that with the lowest loss on the way.

    The run may still be going on: its folder is only read.
    """
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    reasons = []
    try:
        with contextlib.closing(ocp.training.Checkpointer(str(folder.absolute()))) as checkpointer:
            losses = _losses(checkpointer) if validated else {}
            steps = sorted((c.step for c in checkpointer.checkpoints), key=lambda step: (losses.get(step, math.inf), -step))
            for step in steps:
                try:
                    return _loaded(checkpointer, folder, step, promised)
                except Mistake:
                    raise
                except UNREADABLE as error:
                    reasons.append(f"{step}: {_reason(error)}")
    except json.JSONDecodeError as error:  # what a killed machine left of a checkpoint's metrics
        reasons.append(str(error))
    raise Mistake(f"no checkpoint in {folder} can be read ({'; '.join(reasons) or 'there is none yet'}); "
                  f"let the run get as far as its first, or go on with it by --resume")


def _losses(checkpointer: Any) -> dict[int, float]:
    """The held-out loss of each checkpoint that has one."""
    return {c.step: c.metrics["loss"] for c in checkpointer.checkpoints if isinstance(c.metrics, dict)}


def _loaded(checkpointer: Any, folder: Path, step: int, promised: Any) -> Any:
    saved = checkpointer.metadata(step).metadata
    there, here = ({name: leaf.shape for name, leaf in named(tree).items()} for tree in (saved, promised))
    if not there:
        raise ValueError("its arrays cannot be read")
    if there != here:
        raise Mistake(f"checkpoint {step} in {folder} is of another model or optimizer: {_difference(there, here)}; "
                      f"resume with the knobs it was begun with, or start a new run without --resume")
    return checkpointer.load(step, promised)


@contextmanager
def room_in(folder: Path) -> Iterator[None]:
    """Says in a sentence that the disk is full, in place of whatever the writer raised."""
    try:
        yield
    except Exception as error:
        if getattr(error, "errno", None) in FULL or any(sign in str(error) for sign in SIGNS):
            raise DiskFull(f"no room to write in {folder}; free some space and run again with --resume: "
                           f"the checkpoints saved before are whole") from error
        raise


def _drop_broken_metrics(folder: Path) -> None:
    """What a killed machine left of a checkpoint's metrics would keep Orbax from opening the whole folder."""
    for path in folder.glob("*/metrics/metrics"):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            path.unlink(missing_ok=True)


def _difference(there: dict[str, Any], here: dict[str, Any]) -> str:
    """The first three arrays that are not the same, by name."""
    differ = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    differ.sort(key=lambda name: not name.startswith("model."))  # the optimizer only follows
    said = [f"{name} has shape {there[name]} there and {here[name]} here" if name in there and name in here
            else f"{name} is only {'there' if name in there else 'here'}" for name in differ[:3]]
    return ", ".join(said) + (f" and {len(differ) - 3} more" if len(differ) > 3 else "")


def _reason(error: BaseException) -> str:
    """The first line of what went wrong at the bottom of it."""
    while below := error.__cause__ or error.__context__:
        error = below
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
