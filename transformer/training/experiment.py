"""An experiment pairs an architecture with a loss and a data pipeline."""
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grain
import optax

from transformer.losses import Loss

Measure = Callable[[Any, Mapping[str, float]], dict[str, float]]  # of a model and its numbers on held-out data
Show = Callable[[Any, Path], str]  # what a person wants to see: text, and pictures in the run's folder


@dataclasses.dataclass(frozen=True)
class Expectation:
    """The number to reach: a measure, a threshold it must not exceed (or, with `above`, must exceed), a baseline."""

    measure: str
    threshold: float
    baseline: float | Callable[[], float]  # what takes time to compute is computed when the run ends
    above: bool = False

    def met(self, value: float) -> bool:
        return value >= self.threshold if self.above else value <= self.threshold


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    model: Any  # a spec: promises of weights
    loss: Loss
    data: grain.MapDataset  # examples to learn from
    held_out: grain.MapDataset  # examples never learned from
    rows: int  # examples in a batch
    steps: int
    optimizer: optax.GradientTransformation
    measures: Sequence[Measure] = ()  # beside the loss on held-out data
    shows: Sequence[Show] = ()
    expects: Expectation | None = None
    accumulate: int = 1  # micro-batches in a step
    dtype: str = "float32"  # of the computation; weights are float32 always
    remat: str = "none"
    unroll: bool | None = None  # layers one by one instead of a scan; if not said, on a CPU up to 12 layers
    average: float | None = None  # of the weights over steps: the decay, .999 say; what is measured is then the average
    explosion: float = 100.0  # a gradient this many times its usual norm is not followed
