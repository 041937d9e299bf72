"""Protein families as profile hidden Markov models (Krogh et al. 1994): a chain of match states that may be skipped, with
insertions between them. The forward algorithm gives the exact likelihood of any sequence."""
import dataclasses

import numpy as np

from transformer.data.biology import AMINO_ACIDS

END = len(AMINO_ACIDS)  # the symbol after the last residue


@dataclasses.dataclass(frozen=True)
class Family:
    """`matched[m, r]`: how likely the match state m says residue r; insertions say residues as `background` has them."""

    matched: np.ndarray
    background: np.ndarray
    insert: float  # the chance of an insertion after a state, and of one more after it
    skip: float  # the chance that the next match state is left out

    @classmethod
    def of(cls, seed: int, length: int = 24, evenness: float = 0.1, insert: float = 0.05, skip: float = 0.05) -> "Family":
        random = np.random.default_rng(seed)
        residues = len(AMINO_ACIDS)
        return cls(random.dirichlet(np.full(residues, evenness), length), np.full(residues, 1 / residues), insert, skip)

    def sample(self, random: np.random.Generator) -> list[int]:
        """One member: insertions may come before the first match state and after each."""
        said = []
        for emission in (None, *self.matched):
            if emission is not None and random.random() >= self.skip:
                said.append(int(random.choice(len(emission), p=emission)))
            while random.random() < self.insert:
                said.append(int(random.choice(len(self.background), p=self.background)))
        return said

    def logprobs(self, sequences: np.ndarray) -> np.ndarray:
        """The log of the probability of each whole sequence [n, t], filled up with END, of which each has at least one."""
        begun = np.zeros((len(sequences), len(self.matched) + 1))  # state m: m match states are done with, said or left out
        begun[:, 0] = 1.0
        begun = self._skipped(begun)
        total, scale = np.full(len(sequences), -np.inf), np.zeros(len(sequences))
        for residue in sequences.T:
            ended = (residue == END) & np.isneginf(total)
            total = np.where(ended, scale + np.log(np.maximum(begun[:, -1] * (1 - self.insert), 1e-300)), total)
            said = np.where(residue == END, 0, residue)
            inserted = begun * self.insert * self.background[said][:, None]
            matched = np.zeros_like(begun)
            matched[:, 1:] = begun[:, :-1] * (1 - self.insert) * (1 - self.skip) * self.matched[:, said].T
            # An insertion may follow at once; what is skipped says nothing.
            begun = self._skipped(inserted + matched)
            size = begun.sum(-1)
            begun, scale = begun / size[:, None], scale + np.log(size)
        return total

    def _skipped(self, begun: np.ndarray) -> np.ndarray:
        """With every run of match states that may be left out from here."""
        begun = begun.copy()
        for state in range(1, begun.shape[1]):
            begun[:, state] += begun[:, state - 1] * (1 - self.insert) * self.skip
        return begun


def mixed(families: list[Family], sequences: np.ndarray) -> np.ndarray:
    """The log of the probability of each sequence if every family is as likely."""
    each = np.stack([family.logprobs(sequences) for family in families])
    highest = each.max(0)
    return highest + np.log(np.exp(each - highest).mean(0))


def members(families: list[Family], count: int, length: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """So many sequences [count, length], END after the last residue, and the family each is of; longer ones are drawn anew."""
    of, rows = random.integers(len(families), size=count), np.full((count, length), END, np.int32)
    for row, family in zip(rows, of, strict=True):
        said = families[family].sample(random)
        while len(said) >= length:
            said = families[family].sample(random)
        row[:len(said)] = said
    return rows, of
