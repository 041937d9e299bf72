"""Checkpoints: saved in the background, whole or not at all, and restored onto any mesh."""
import errno
import logging
from pathlib import Path
from types import TracebackType
from typing import Any

from orbax.checkpoint import v1 as ocp

from transformer.mistakes import Mistake

_policies = ocp.training.preservation_policies
_every = ocp.training.save_decision_policies.FixedIntervalPolicy(1)

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DiskFull(OSError):
    """A checkpoint could not be written; those before it are whole."""


class Checkpoints:
    """The checkpoints of a run: the last `keep`, and the best by held-out loss."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        logging.getLogger("absl").setLevel(logging.ERROR)
        self.folder = folder
        best = _policies.BestN(get_metric_fn=lambda m: -m["loss"], n=1, keep_checkpoints_without_metrics=False)
        self._checkpointer = ocp.training.Checkpointer(
            folder.absolute(), save_decision_policy=_every, cleanup_tmp_directories=True,
            preservation_policy=_policies.AnyPreservationPolicy([_policies.LatestN(keep), best]))

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.wait()
        self._checkpointer.close()

    def save(self, step: int, state: Any, loss: float | None = None) -> None:
        """Begins to save; returns as soon as training may go on."""
        if self.steps() and self.steps()[-1] >= step:
            return
        with _full_disk(self.folder):
            self._checkpointer.save_async(step, state, metrics=None if loss is None else {"loss": loss})

    def wait(self) -> None:
        """Until what was begun is on the disk."""
        with _full_disk(self.folder):
            self._checkpointer.wait()

    def steps(self) -> list[int]:
        return sorted(checkpoint.step for checkpoint in self._checkpointer.checkpoints)

    def best(self) -> int | None:
        """The step with the lowest held-out loss."""
        measured = [c for c in self._checkpointer.checkpoints if c.metrics]
        return min(measured, key=lambda c: c.metrics["loss"]).step if measured else None

    def restore(self, promised: Any, step: int | None = None) -> Any:
        """The newest state that is whole (or that of `step`), in the shapes, types and places promised."""
        wanted = self.steps()[::-1] if step is None else [step]
        for number in wanted:
            try:
                return self._checkpointer.load(number, promised)
            except (OSError, ValueError, KeyError, TypeError) as error:
                print(f"checkpoint {number} in {self.folder} is damaged ({_first_line(error)}); trying the one before it")
        raise Mistake(f"no checkpoint in {self.folder} can be restored ({len(wanted)} tried); start the run again without --resume")


class _full_disk:
    """Says in a sentence that the disk is full, in place of whatever the writer raised."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        text = str(error)
        full = isinstance(error, OSError) and error.errno in FULL or any(
            sign in text for sign in ("No space left", "File too large", "Disk quota", "RESOURCE_EXHAUSTED"))
        if error is not None and full:
            raise DiskFull(f"no room to save a checkpoint in {self.folder}; free some space and run again with --resume: "
                           f"the checkpoints before it are whole") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
