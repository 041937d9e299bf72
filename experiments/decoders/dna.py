"""DNA, letter by letter: genes that prefer some codons, whose entropy is known, or sequences of yours.

    python -m experiments dna                      two cores: within .02 nats a letter of the genes' own entropy, and .99 of the codons
                                                   that it writes are none that stop; an 8-gram is to be beaten
    python -m experiments dna --folder genomes     on your own FASTA files (--skip: without what is broken in them)
"""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from transformer.data import biology, files
from transformer.data.biology import CODONS, NUCLEOTIDES, STANDARD_CODE
from transformer.data.examples import shifted, windows
from transformer.data.made.genes import Genes, spelled
from transformer.data.ngrams import witten_bell
from transformer.decoding import Sample, generate
from transformer.decoding.processors import Suppress
from transformer.losses import next_token
from transformer.models.gpt2 import GPT2, Size
from transformer.shows.biology import save
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "length": 12, "genes": 64, "unseen": 16, "samples": 2}
START = len(NUCLEOTIDES)


def experiment(layers: int = 3, embed: int = 64, heads: int = 4, length: int = 144, rows: int = 32, rate: float = 1e-2,
               dropout: float = 0.0, steps: int = 1000, genes: int = 32_000, unseen: int = 500, samples: int = 64,
               folder: Path | None = None, skip: bool | None = None) -> Experiment:
    model = GPT2.of(Size(START + 1, length, layers, embed, heads), dropout)
    shared: dict[str, Any] = {"model": model, "loss": next_token, "rows": rows, "steps": steps,
                              "optimizer": muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3)}

    def written(model: Any, begin: np.ndarray, count: int) -> list[str]:
        said = generate(model, np.tile(begin, (count, 1)), most=length - len(begin), strategy=Sample(),
                        processors=[Suppress([START])], key=jax.random.key(0))
        return [text(row) for row in said.tokens[:, 0]]

    if folder:
        learned, held = files.apart(biology.numbered(biology.folder(folder, NUCLEOTIDES, bool(skip)), NUCLEOTIDES))

        def goes_on(model: Any, place: Path) -> str:
            begin = held[:length // 2]
            return save(place, [text(held[:100_000])], written(model, begin, samples), NUCLEOTIDES, "Nucleotides of the file and of what goes on")

        return Experiment(data=windows(learned, length, stride=length // 2), held_out=windows(held, length), shows=[goes_on],
                          corpus=f"DNA in {folder.name}",
                          expects=[Expectation("nats", None, baseline=witten_bell(learned, held, 5))], **shared)

    source = Genes.of(seed=0)
    learned, held = (source.sample(count, length // 3, np.random.default_rng(seed)) for seed, count in ((1, genes), (2, unseen)))
    letters, tested = (np.pad(spelled(part), ((0, 0), (1, 0)), constant_values=START) for part in (learned, held))
    truth = float(source.nats(held).mean()) / 3  # what no model can do better than, on these very genes

    def open_codons(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        codons = [codon for gene in written(model, np.asarray([START]), samples) for codon in biology.codons(gene)]
        return {"open": float(np.mean([STANDARD_CODE[codon] != "*" for codon in codons]))}

    def shown(model: Any, place: Path) -> str:
        return save(place, [text(gene) for gene in spelled(held)], written(model, np.asarray([START]), samples), CODONS,
                    "Codons of true genes and of generated ones", unit=3)

    return Experiment(
        data=shifted(letters), held_out=shifted(tested), measures=[open_codons], shows=[shown], corpus="genes with a codon bias",
        expects=[Expectation("nats", truth + 0.02, lambda: witten_bell(spelled(learned).ravel(), spelled(held).ravel(), 8)),
                 Expectation("open", 0.99, baseline=61 / 64, above=True)], **shared)


def text(letters: np.ndarray) -> str:
    return "".join(NUCLEOTIDES[letter] for letter in letters)


if __name__ == "__main__":
    main(experiment)
