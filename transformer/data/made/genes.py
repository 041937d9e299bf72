"""Genes with a bias: an amino acid follows from the one before, and each is spelled by one of its codons, some more often.

What comes next is known exactly, letter by letter, so that a model's nats can be held against the truth.
"""
import dataclasses
from collections.abc import Iterable

import numpy as np

from transformer.data.biology import AMINO_ACIDS, NUCLEOTIDES, STANDARD_CODE, translate

CODONS = tuple(codon for codon, residue in STANDARD_CODE.items() if residue != "*")


@dataclasses.dataclass(frozen=True)
class Genes:
    """`chances[a, c]`: how likely codon c (of CODONS) is after a codon for the amino acid a."""

    chances: np.ndarray

    @classmethod
    def of(cls, seed: int, evenness: float = 0.5) -> "Genes":
        """Drawn from Dirichlet distributions: the smaller the evenness, the more is known of what comes next."""
        random = np.random.default_rng(seed)
        residues = random.dirichlet(np.full(len(AMINO_ACIDS), evenness), len(AMINO_ACIDS))
        spelled = np.zeros((len(AMINO_ACIDS), len(CODONS)))
        for residue, letter in enumerate(AMINO_ACIDS):
            own = [at for at, codon in enumerate(CODONS) if STANDARD_CODE[codon] == letter]
            spelled[residue, own] = random.dirichlet(np.full(len(own), evenness))
        return cls(residues @ spelled)

    def sample(self, count: int, length: int, random: np.random.Generator) -> np.ndarray:
        """So many genes of so many codons [count, length], each beginning as if methionine had stood before it."""
        found = np.empty((count, length), np.int32)
        before = np.full(count, AMINO_ACIDS.index("M"))
        for at in range(length):
            found[:, at] = (self.chances[before].cumsum(-1) > random.random((count, 1))).argmax(-1)
            before = RESIDUES[found[:, at]]
        return found

    def nats(self, genes: np.ndarray) -> np.ndarray:
        """The surprise at each codon [count, length], for whoever knows the truth."""
        before = np.concatenate([np.full((len(genes), 1), AMINO_ACIDS.index("M")), RESIDUES[genes[:, :-1]]], 1)
        return -np.log(self.chances[before, genes])

    @property
    def entropy(self) -> float:
        """Nats a codon, in the long run."""
        residues = np.zeros((len(AMINO_ACIDS), len(AMINO_ACIDS)))
        np.add.at(residues.T, RESIDUES, self.chances.T)
        values, vectors = np.linalg.eig(residues.T)
        steady = np.real(vectors[:, np.argmax(np.real(values))])
        steady = steady / steady.sum()
        surprise = np.where(self.chances > 0, -self.chances * np.log(np.where(self.chances > 0, self.chances, 1.0)), 0.0)
        return float(steady @ surprise.sum(-1))


RESIDUES = np.asarray([AMINO_ACIDS.index(STANDARD_CODE[codon]) for codon in CODONS])
LETTERS = np.asarray([[NUCLEOTIDES.index(letter) for letter in codon] for codon in CODONS], np.int32)


def spelled(genes: np.ndarray) -> np.ndarray:
    """Codons [count, length] as nucleotides [count, 3 length], numbered as in NUCLEOTIDES."""
    return LETTERS[genes].reshape(len(genes), -1)


def read_in_frames(pieces: Iterable[str], random: np.random.Generator) -> tuple[list[str], list[str]]:
    """What is asked: DNA, and in front of it how many letters are to be passed over; what is answered: the protein up to a stop."""
    asked, answers = [], []
    for piece in pieces:
        frame = int(random.integers(3))
        asked.append(f"{frame}{piece.lower()}")
        answers.append(translate(piece[frame:]))
    return asked, answers


def random_dna(count: int, length: int, random: np.random.Generator) -> list[str]:
    return ["".join(NUCLEOTIDES[letter] for letter in row) for row in random.integers(len(NUCLEOTIDES), size=(count, length))]
