"""The genetic code: from DNA, which may be read from any of its first three letters, to the protein that it stands for.

    python -m experiments genetic_code                   two cores: .99 of the residues and more are right, in proteins never seen;
                                                         who always reads from the first letter gets a third of them. Looking codons
                                                         up in the standard code is the oracle: all are right
    python -m experiments genetic_code --folder genes    on your own FASTA files (--skip: without what is broken in them)
"""
from pathlib import Path
from typing import Any

import numpy as np

from transformer.data import biology, tokenizers
from transformer.data.biology import AMINO_ACIDS, NUCLEOTIDES, translate
from transformer.data.examples import example
from transformer.data.made.genes import random_dna, read_in_frames
from transformer.data.pairs import pairs
from transformer.losses import sequence_to_sequence
from transformer.mistakes import Mistake
from transformer.models.bart import Bart, Size
from transformer.shows.alignment import attended, mapped
from transformer.training.answers import exact_match, token_match, written
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "length": 12, "pieces": 64, "unseen": 12, "rows": 8}


def experiment(layers: int = 2, embed: int = 96, heads: int = 4, mlp: int = 192, length: int = 50, pieces: int = 40_000,
               unseen: int = 400, rows: int = 64, rate: float = 5e-3, dropout: float = 0.0, steps: int = 800,
               folder: Path | None = None, skip: bool | None = None) -> Experiment:
    random = np.random.default_rng(0)
    if folder:
        found = [genes[at:at + length] for _, genes in biology.folder(folder, NUCLEOTIDES, bool(skip))
                 for at in range(0, len(genes) - length + 1, length)]
        kinds = sorted({*found})
        if len(kinds) < 2:
            raise Mistake(f"{folder} has {len(kinds)} different pieces of {length} letters: give longer genes, or a smaller --length")
        random.shuffle(kinds)
        apart, dna = kinds[:max(1, len(kinds) // 10)], kinds[max(1, len(kinds) // 10):]
    else:
        dna, apart = (random_dna(count, length, random) for count in (pieces, unseen))
    learned, held = (read_in_frames(part, random) for part in (dna, apart))
    tokenizer = tokenizers.characters("012" + NUCLEOTIDES.lower() + AMINO_ACIDS)
    most = (None, length // 3 + 1)
    data, test = (pairs(*part, tokenizer, most=most) for part in (learned, held))
    model = Bart.of(Size(tokenizer.size, length + 2, layers, embed, heads, mlp), dropout=dropout)
    first_frame = [translate(asked[1:]) for asked in held[0]]
    looked_up = [translate(asked[1 + int(asked[0]):]) for asked in held[0]]

    def shown(model: Any, place: Path) -> str:
        answers = written(model, test[:5])
        lines = [f"{asked}\n  truly {truth}\n  model {tokenizer.decode(answer.tolist())}"
                 for asked, truth, answer in zip(*(side[:5] for side in held), answers, strict=False)]
        return "\n".join(lines)

    return Experiment(
        model=model,
        loss=sequence_to_sequence,
        data=data,
        held_out=test,
        tokenizer=tokenizer,
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        measures=[token_match(test, "per_residue"), exact_match(test), lambda model, values: {"oracle": alike(looked_up, held[1])}],
        corpus=f"genes in {folder.name}" if folder else "DNA by chance, and its proteins",
        expects=[Expectation("per_residue", 0.99, baseline=alike(first_frame, held[1]), above=True)],
        shows=[shown, mapped(tokenizer, example(test, 0), {"where it looked": attended}, "reading.png")])


def alike(guesses: list[str], truths: list[str]) -> float:
    """The share of residues that are guessed right, each in its place."""
    right = [guess[at:at + 1] == residue for guess, truth in zip(guesses, truths, strict=True) for at, residue in enumerate(truth)]
    return float(np.mean(right))


if __name__ == "__main__":
    main(experiment)
