"""One number of several systems, side by side."""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from transformer.training.experiment import Measure, Show


def bars(others: Mapping[str, float], name: str, measure: str, own: Measure, unit: str, above: bool = False) -> Show:
    """What others reached, and this model, whose number is the one called `measure` of its `own`; `above`: more is better."""

    def show(model: Any, folder: Path) -> str:
        values = {**others, name: own(model, {})[measure]}
        best = (max if above else min)(others, key=lambda other: others[other])
        title = f"{name} {values[name]:.3f} {unit}, {best} {values[best]:.3f}"
        draw_bars(folder / "bars.png", values, title, unit, own=name)
        return "; ".join(f"{other} {value:.3f}" for other, value in values.items()) + f" ({unit})"

    return show


def draw_bars(path: Path, values: Mapping[str, float], title: str, across: str, level: tuple[str, float] | None = None,
              own: str | None = None) -> None:
    """A bar for each, with its number, from the top down; a level is drawn across all of them, and all but our `own` are grey."""
    figure = Figure((7.0, 1.3 + 0.34 * len(values)), dpi=110, layout="constrained")
    axes = figure.subplots()
    places = range(len(values))[::-1]
    axes.barh(places, list(values.values()), color=["C0" if own in (None, name) else "0.73" for name in values], height=0.7)
    for place, value in zip(places, values.values(), strict=True):
        axes.text(value, place, f" {value:.3g}", va="center", fontsize=9)
    axes.set_yticks(places, list(values), fontsize=9)
    figure.suptitle(title, fontsize=11)
    axes.set(xlabel=across, xlim=(0, 1.12 * max([*values.values(), level[1] if level else 0, 1e-9])))
    if level:
        axes.axvline(level[1], color="0.4", linestyle="--", linewidth=1, label=level[0])
        figure.legend(frameon=False, fontsize=9, loc="outside lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
