"""Sequences of life to look at: FASTA files that any program reads, and how often each codon or residue is used."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from transformer.data.biology import write_fasta


def save(folder: Path, truth: Sequence[str], generated: Sequence[str], units: Sequence[str], title: str, unit: int = 1) -> str:
    """The generated sequences as generated.fa, and a picture of how often they use each unit, of so many letters, beside the truth's."""
    write_fasta(folder / "generated.fa", [(f"generated {number}", residues) for number, residues in enumerate(generated, 1)])
    draw_usage(folder / "usage.png", {"truth": used(truth, units, unit), "generated": used(generated, units, unit)}, units, title)
    begins = [f"generated {residues[:90]}" for residues in generated[:3]]
    return "\n".join([*begins, f"{title}: usage.png and generated.fa"])


def used(sequences: Sequence[str], units: Sequence[str], unit: int = 1) -> np.ndarray:
    """The share of each unit, read from the first letter of every sequence."""
    place = {name: number for number, name in enumerate(units)}
    counts = np.zeros(len(units))
    for residues in sequences:
        for at in range(0, len(residues) - unit + 1, unit):
            counts[place[residues[at:at + unit]]] += 1
    return counts / max(counts.sum(), 1)


def draw_usage(path: Path, shares: Mapping[str, np.ndarray], units: Sequence[str], title: str) -> None:
    """Bars side by side, the unit that the first of the sources uses most in front."""
    order = np.argsort(-next(iter(shares.values())))
    width = 0.8 / len(shares)
    figure = Figure((1.5 + 0.16 * max(len(units), 30), 3.6), dpi=110, layout="constrained")
    axes = figure.subplots()
    for number, (name, share) in enumerate(shares.items()):
        axes.bar(np.arange(len(units)) + (number - (len(shares) - 1) / 2) * width, share[order], width, label=name)
    axes.set_xticks(range(len(units)), [str(units[at]) for at in order], fontsize=8, family="monospace", rotation=90 if len(units[0]) > 1 else 0)
    axes.set(title=title, ylabel="share", xlim=(-0.7, len(units) - 0.3))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
