"""An experiment pairs an architecture with a loss and a data pipeline."""
import dataclasses
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grain
import optax

from transformer.data.tokenizers import Tokenizer
from transformer.losses import Loss
from transformer.weights import holding

Measure = Callable[[Any, Mapping[str, float]], dict[str, float]]  # of a model and its numbers on held-out data
Show = Callable[[Any, Path], str]  # what a person wants to see: text, and pictures in the run's folder


@dataclasses.dataclass(frozen=True)
class Expectation:
    """A number to reach: a measure, a threshold it must not exceed (or, with `above`, must reach), a baseline."""

    measure: str
    threshold: float | None  # None: the baseline
    baseline: float | Callable[[], float]  # what takes time to compute is computed when the run ends
    above: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    model: Any  # a spec: promises of weights
    loss: Loss
    data: grain.MapDataset  # examples to learn from
    held_out: grain.MapDataset  # examples never learned from
    validation: grain.MapDataset | None = None  # others never learned from: the weights kept are those that are best on them
    rows: int  # examples in a batch
    steps: int
    optimizer: optax.GradientTransformation
    measures: Sequence[Measure] = ()  # beside the loss on held-out data
    shows: Sequence[Show] = ()
    expects: Sequence[Expectation] = ()
    tokenizer: Tokenizer | None = None  # of the text that it learns, to talk with what was trained
    corpus: str = ""  # what `data` is, in a few words
    stage: str = ""  # its name among the stages of one run
    accumulate: int = 1  # micro-batches in a step
    dtype: str = "float32"  # of the computation; weights are float32 always
    remat: str = "none"
    unroll: bool | None = None  # layers one by one instead of a scan; if not said, on a CPU up to 12 layers
    average: float | None = None  # of the weights over steps: the decay, .999 say; what is measured is then the average
    explosion: float = 100.0  # a gradient this many times its usual norm is not followed


@dataclasses.dataclass(frozen=True)
class Trained:
    """What became of an experiment: its model, and the numbers measured on it."""

    spec: Any
    model: Any
    values: Mapping[str, float]

    @property
    def kept(self) -> Any:
        """The spec again, to go on from these weights instead of being born."""
        return holding(self.spec, self.model)


# An experiment of several stages yields each, and gets back what became of it: `teacher = yield Experiment(...)`.
Stages = Generator[Experiment, Trained, None]


def stages(built: Experiment | Stages) -> Stages:
    """Any experiment as its stages, most often one."""
    if isinstance(built, Experiment):
        yield built
    else:
        yield from built
