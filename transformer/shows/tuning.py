"""Ways of fine-tuning side by side: how many weights each trains, and what that comes to."""
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transformer.data.examples import Example
from transformer.shows.bars import draw_bars
from transformer.shows.retrieval import answers_of
from transformer.training.experiment import Measure, Show
from transformer.training.optimizers import learns
from transformer.weights import count, describe, named


def trained_share(spec: Any, only: Sequence[str]) -> Measure:
    """How many of the weights learn."""
    counts = {name: math.prod(shape) for name, shape, _, _ in describe(spec)}
    trained = sum(count for name, count in counts.items() if learns(name, only=only))
    return lambda model, values: {"trained": float(trained), "share_trained": trained / sum(counts.values())}


def side_by_side(others: Mapping[str, Mapping[str, float]], name: str, only: Sequence[str], rows: Example, truth: np.ndarray,
                 words: float) -> Show:
    """A table and a picture of the other ways, and of this model, of which `only` some weights were trained."""

    def show(model: Any, folder: Path) -> str:
        trained, whole = sum(x.size for path, x in named(model).items() if learns(path, only=only)), count(model)
        right = float((answers_of(model, rows).argmax(-1) == truth).mean())
        ways = {**others, name: {"trained": trained, "share_trained": trained / whole, "right": right}}

        best = max(values["right"] for way, values in ways.items() if way != "from scratch")
        shares = {f"{way}: {values['trained']:,.0f} weights": values["right"] for way, values in ways.items()}
        draw_bars(folder / "tuning.png", {**shares, "words, by logistic regression": words},
                  f"A hundred labels: {best:.2f} right after reading, {ways['from scratch']['right']:.2f} from scratch",
                  "share right on held-out texts")
        return "\n".join(f"{way:>14}: {values['trained']:>9,.0f} weights trained ({values['share_trained']:.1%}), {values['right']:.3f} right"
                         for way, values in ways.items())

    return show
