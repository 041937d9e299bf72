"""What each of several shapes reaches in each of several things to do."""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformer.shows.bars import draw_bars
from transformer.training.columns import Judge, Lines
from transformer.training.experiment import Show

UNITS = {"fill": "hidden words guessed", "generate": "nats per word, from the left", "transduce": "lines translated exactly"}


def table(name: str, judge: Judge, lines: Lines, others: Mapping[str, Mapping[str, float]], columns: Sequence[str]) -> Show:
    """A line for each shape, this one's below the others', and a picture for each column, of those that can do it at all."""

    def cell(values: Mapping[str, float], column: str) -> str:
        return f"{values[column]:12.3f}" if column in values else f"{'-':>12s}"

    def show(model: Any, folder: Path) -> str:
        reached = {**others, name: judge(model, lines)}
        for column in columns:
            draw_bars(folder / f"{column}.png", {shape: values[column] for shape, values in reached.items() if column in values},
                      f"{column}, by stacks of equal weight", UNITS[column])
        return "\n".join([" " * 28 + "".join(f"{column:>12s}" for column in columns), *(
            f"{shape:28s}" + "".join(cell(values, column) for column in columns) for shape, values in reached.items())])

    return show
