"""Codons, sixty-four units of three letters: the same genes as in `dna`, in a third of the steps, at the same cost a letter.

    python -m experiments codons                      two cores: within .02 nats a letter of the decoder that reads single letters, and
                                                      within .02 of the genes' own entropy
    python -m experiments codons --folder genes       on your own FASTA files, read from the first letter of each sequence
                                                      (--skip: without what is broken in them)
"""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from grain import MapDataset

from transformer.data import biology, files
from transformer.data.biology import CODONS, NUCLEOTIDES
from transformer.data.examples import shifted, windows
from transformer.data.made import genes as made
from transformer.data.ngrams import witten_bell
from transformer.decoding import Sample, generate
from transformer.decoding.processors import Suppress
from transformer.losses import next_token
from transformer.models.gpt2 import GPT2, Size
from transformer.shows.bars import bars
from transformer.shows.biology import save
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "length": 6, "genes": 64, "unseen": 16, "samples": 2}


def experiment(layers: int = 3, embed: int = 64, heads: int = 4, length: int = 48, rows: int = 32, rate: float = 1e-2,
               dropout: float = 0.0, steps: int = 1000, genes: int = 32_000, unseen: int = 500, samples: int = 64,
               folder: Path | None = None, skip: bool | None = None) -> Stages:
    def stage(units: int, per_row: int, length: int, data: MapDataset, held_out: MapDataset, **rest: Any) -> Experiment:
        model = GPT2.of(Size(units, length, layers, embed, heads), dropout)
        return Experiment(model=model, loss=next_token, rows=per_row, steps=steps, data=data, held_out=held_out,
                          optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3), **rest)

    def written(model: Any, begin: np.ndarray) -> list[str]:
        said = generate(model, np.tile(begin, (samples, 1)), most=length - len(begin), strategy=Sample(),
                        processors=[Suppress([len(CODONS)])], key=jax.random.key(0))
        return [text(row) for row in said.tokens[:, 0]]

    reached: dict[str, float] = {}  # by what came before, and by codons

    def per_letter(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        reached["codons"] = values["nats"] / 3
        return {"nats_per_letter": reached["codons"], "apart": abs(reached["codons"] - reached.get("letters", 0.0))}

    if folder:
        read = [biology.codons(letters) for _, letters in biology.folder(folder, NUCLEOTIDES, bool(skip))]
        learned, held = files.apart([np.asarray([CODONS.index(codon) for codon in some], np.int32) for some in read if some])
        yield stage(len(CODONS) + 1, 2 * rows, length, windows(learned, length), windows(held, length), measures=[per_letter],
                    corpus=f"codons in {folder.name}", expects=[Expectation("nats_per_letter", None, witten_bell(learned, held, 2) / 3)],
                    shows=[lambda model, place: save(place, [text(held)], written(model, held[:length // 2]), CODONS, "Codons", unit=3)])
        return

    source = made.Genes.of(seed=0)
    learned, held = (source.sample(count, length, np.random.default_rng(seed)) for seed, count in ((1, genes), (2, unseen)))
    truth, ids = float(source.nats(held).mean()) / 3, np.asarray([CODONS.index(codon) for codon in made.CODONS], np.int32)
    spelt, tested = (begun(made.spelled(part), len(NUCLEOTIDES)) for part in (learned, held))
    letters = yield stage(len(NUCLEOTIDES) + 1, rows, 3 * length, shifted(spelt), shifted(tested), stage="letters",
                          corpus="genes, letter by letter")
    counted = witten_bell(made.spelled(learned).ravel(), made.spelled(held).ravel(), 8)
    reached |= {"8-gram of letters": counted, "letters": letters.values["nats"], "truth": truth}
    units, unseen_units = (begun(ids[part], len(CODONS)) for part in (learned, held))
    yield stage(len(CODONS) + 1, 2 * rows, length, shifted(units), shifted(unseen_units), stage="codons", corpus="genes, codon by codon",
                measures=[per_letter],
                expects=[Expectation("nats_per_letter", truth + 0.02, baseline=counted),
                         Expectation("apart", 0.02, baseline=counted - letters.values["nats"])],
                shows=[bars({**reached}, "codons", "codons", lambda model, values: reached, "nats a letter"),
                       lambda model, place: save(place, [text(gene) for gene in ids[held]], written(model, np.asarray([len(CODONS)])),
                                                 CODONS, "Codons of true genes and of generated ones", unit=3)])


def begun(rows: np.ndarray, start: int) -> np.ndarray:
    return np.pad(rows, ((0, 0), (1, 0)), constant_values=start)


def text(units: np.ndarray) -> str:
    return "".join(CODONS[unit] for unit in units)


if __name__ == "__main__":
    main(experiment)
