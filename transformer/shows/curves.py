"""A number against another, one line for each thing compared."""
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure


def draw_lines(path: Path, lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], title: str, across: str, up: str,
               level: tuple[str, float] | None = None, limits: tuple[float, float] | None = (-0.03, 1.03)) -> None:
    """Each line is its x and its y, named where it ends; a level is drawn across."""
    figure = Figure((7.5, 4.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    marks = "os^Dv*Pxh"
    for place, (name, (x, y)) in enumerate(lines.items()):
        axes.plot(x, y, marker=marks[place % len(marks)], label=name, color=f"C{place}", linewidth=1.8, alpha=0.85)
    if level:
        axes.axhline(level[1], color="0.4", linestyle="--", linewidth=1, label=level[0])
    axes.set(title=title, xlabel=across, ylabel=up, ylim=limits)
    axes.grid(color="0.92")
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(path)
