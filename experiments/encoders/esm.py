"""ESM: proteins read from both sides, with some residues under masks; families whose best guess is known exactly, or yours.

    python -m experiments esm                     two cores: 1.57 nats a mask; the best there can be is 1.47, and 1.52 is asked for
    python -m experiments esm --folder proteome   on your own FASTA files (--skip: without what is broken in them)

As ESM-2 (Lin et al. 2023), an encoder with rotary positions and norms before its blocks; `far` is the rotary base, small because
the rows are short. Beside them each head learns how much it minds every distance, as T5's do, which finds neighbours sooner. While
it learns more is hidden than in the exam, so that a row teaches more. `proteins` reads from left to right.
"""
from pathlib import Path

import numpy as np

from transformer.data import biology, files, tokenizers
from transformer.data.biology import AMINO_ACIDS, UNSURE
from transformer.data.examples import examples, stacked
from transformer.data.made.families import END, Family, masked_optimum, members
from transformer.data.masking import masked
from transformer.data.pairing import joined
from transformer.losses import masked_right
from transformer.models.modernbert import Masked, Size
from transformer.models.t5 import RelativeBias
from transformer.models.t5 import Size as Distances
from transformer.shows.masks import masked_lines
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "families": 2, "count": 64, "unseen": 4}


def experiment(layers: int = 3, embed: int = 64, heads: int = 8, mlp: int = 192, length: int = 30, rows: int = 128, rate: float = 1e-2,
               hidden: float = 0.4, distances: bool = True, far: float = 100.0, dropout: float = 0.0,
               steps: int = 2400, families: int = 6, count: int = 48_000, unseen: int = 1000, folder: Path | None = None,
               skip: bool | None = None) -> Experiment:
    kin = [Family.of(seed) for seed in range(families)]
    letters = tokenizers.characters(AMINO_ACIDS + UNSURE if folder else AMINO_ACIDS)
    first = int(letters.encode(AMINO_ACIDS[0])[0])
    if folder:
        read = biology.folder(folder, AMINO_ACIDS + UNSURE, bool(skip))
        learned, held = (cut(row, length - 2) for row in files.apart([letters.encode(residues) for _, residues in read]))
    else:
        learned, held = (members(kin, some, length - 2, np.random.default_rng(seed))[0] for seed, some in ((1, count), (2, unseen)))
        learned, held = ([row[row != END] + first for row in part] for part in (learned, held))
    data, test = (masked(examples(**stacked([joined([row], letters, length) for row in part])), letters, share).seed(0)
                  for part, share in ((learned, hidden), (held, 0.15)))
    counts = np.bincount(np.concatenate(learned), minlength=letters.size)[first:] + 1.0
    unigram = float(-np.log(counts / counts.sum())[np.concatenate(held) - first].mean())
    apart = RelativeBias.of(Distances(embed=embed, heads=heads, buckets=64, reach=length), both_ways=True) if distances else None
    model = Masked.of(Size(letters.size, layers, embed, heads, mlp, every=1), dropout=dropout, far=far, initialiser=None, distances=apart)
    return Experiment(
        model=model,
        loss=masked_right,
        data=data,
        held_out=test,
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.5, rates={"*distances.table": 10.0}),
        corpus=f"proteins in {folder.name}" if folder else "protein families, under masks",
        expects=[Expectation("nats", None if folder else masked_optimum(kin, test, first) + 0.05, baseline=unigram)],
        shows=[masked_lines(letters, test, range(min(4, len(held))))])


def cut(row: np.ndarray, length: int) -> np.ndarray:
    """Pieces [n, length] of a long row; what is left over at its end is left out."""
    return row[:max(1, len(row) // length) * length].reshape(-1, min(length, len(row)))


if __name__ == "__main__":
    main(experiment)
