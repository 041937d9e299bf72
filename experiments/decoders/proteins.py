"""Proteins, residue by residue: families whose likelihood a profile hidden Markov model gives exactly, or sequences of yours.

    python -m experiments proteins                     two cores: within .05 nats a residue of the families' own entropy; .9 of what it
                                                       writes is as much a member of a family as .95 of the true members are
    python -m experiments proteins --folder proteome   on your own FASTA files (--skip: without what is broken in them)

`esm` learns the same families from both sides, under masks.
"""
from pathlib import Path
from typing import Any

import jax
import numpy as np

from transformer.data import biology, files
from transformer.data.biology import AMINO_ACIDS, UNSURE
from transformer.data.examples import shifted, windows
from transformer.data.made.families import END, Family, members, mixed, odds
from transformer.data.ngrams import babbled, witten_bell
from transformer.decoding import Sample, generate
from transformer.decoding.processors import Suppress
from transformer.losses import next_token
from transformer.models.llama import Llama, Size
from transformer.shows.biology import save
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "families": 2, "count": 64, "unseen": 16, "samples": 2}
LETTERS = AMINO_ACIDS + "*>" + UNSURE  # * ends a protein, > begins one
START = LETTERS.index(">")


def experiment(layers: int = 3, embed: int = 96, heads: int = 4, mlp: int = 256, length: int = 34, rows: int = 64, rate: float = 5e-3,
               steps: int = 1800, families: int = 6, count: int = 48_000, unseen: int = 1000, samples: int = 200,
               folder: Path | None = None, skip: bool | None = None) -> Experiment:
    model = Llama.of(Size(len(LETTERS), layers, embed, heads, heads, mlp))
    shared: dict[str, Any] = {"model": model, "loss": next_token, "rows": rows, "steps": steps,
                              "optimizer": muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.75)}

    def written(model: Any) -> list[list[int]]:
        said = generate(model, [[START]] * samples, most=length, strategy=Sample(top_p=0.95), ends=END, key=jax.random.key(0),
                        processors=[Suppress([*range(START, len(LETTERS))])])
        return [text for (text,) in said.texts()]

    if folder:
        read = biology.numbered(biology.folder(folder, AMINO_ACIDS + UNSURE, bool(skip)), LETTERS)
        learned, held = files.apart([np.asarray([START, *residues, END], np.int32) for residues in read])
        return Experiment(data=windows(learned, length, stride=length // 2), held_out=windows(held, length),
                          corpus=f"proteins in {folder.name}",
                          shows=[lambda model, place: save(place, [text(held)], [*map(text, written(model))], AMINO_ACIDS + UNSURE, "Residues")],
                          expects=[Expectation("nats", None, baseline=witten_bell(learned, held, 5))], **shared)

    kin = [Family.of(seed) for seed in range(families)]
    learned, held = (members(kin, some, length, np.random.default_rng(seed))[0] for seed, some in ((1, count), (2, unseen)))
    data, test = (shifted(np.pad(part, ((0, 0), (1, 0)), constant_values=START), weights(part)) for part in (learned, held))
    said = weights(held).astype(bool)[:, 1:]
    truth = float(-mixed(kin, held).sum() / said.sum())  # what no model can do better than, on these very proteins
    member = np.quantile(odds(kin, held), 0.05)
    flat, tested = (np.pad(part, ((0, 0), (1, 0)), constant_values=START)[weights(part) + (np.arange(length + 1) == 0) > 0]
                    for part in (learned[:8000], held))

    def in_family(texts: list[list[int]]) -> float:
        rows = [np.pad(one[:length], (0, length - len(one[:length])), constant_values=END if END in one[:length] else 0) for one in texts]
        return float((odds(kin, np.stack(rows)) >= member).mean())

    def shown(model: Any, place: Path) -> str:
        return save(place, [text(one) for one in held], [*map(text, written(model))], AMINO_ACIDS, "Residues of true members and generated")

    return Experiment(
        data=data, held_out=test, shows=[shown], corpus="protein families, residue by residue",
        measures=[lambda model, values: {"in_family": in_family(written(model))}],
        expects=[Expectation("nats", truth + 0.05, lambda: witten_bell(flat, tested, 5)),
                 Expectation("in_family", 0.9, lambda: in_family(babbled(flat, START, END, samples, 5, seed=0)), above=True)], **shared)


def weights(proteins: np.ndarray) -> np.ndarray:
    """One for each residue and the end after it [n, 1 + length], as they stand behind the start."""
    ends = np.cumsum(proteins == END, 1)
    return np.pad((ends <= 1).astype(np.float32), ((0, 0), (1, 0)))


def text(residues: Any) -> str:
    return "".join(LETTERS[residue] for residue in residues if residue not in (START, END))


if __name__ == "__main__":
    main(experiment)
