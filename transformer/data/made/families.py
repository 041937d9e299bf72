"""Protein families as profile hidden Markov models (Krogh et al. 1994): a chain of match states that may be skipped, with
insertions between them. The forward algorithm gives the exact likelihood of any sequence."""
import dataclasses

import numpy as np
from grain import MapDataset

from transformer.data.biology import AMINO_ACIDS
from transformer.data.examples import example, stacked

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

    def sample(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Members [count, t], filled up with END: insertions may come before the first match state and after each."""
        states, residues = self.matched.shape
        inserted = random.geometric(1 - self.insert, (count, states + 1)) - 1
        said = np.full((count, states + 1, 1 + inserted.max()), END)  # by a state, then after it; state 0 says nothing
        matched = (random.random((count, states, 1)) > self.matched.cumsum(-1)[:, :-1]).sum(-1)
        said[:, 1:, 0] = np.where(random.random((count, states)) < self.skip, END, matched)
        after = np.arange(inserted.max()) < inserted[..., None]
        said[..., 1:][after] = random.choice(residues, size=after.sum(), p=self.background)
        said = said.reshape(count, -1)
        return np.take_along_axis(said, np.argsort(said == END, 1, kind="stable"), 1)

    def logprobs(self, sequences: np.ndarray, evidence: np.ndarray | None = None) -> np.ndarray:
        """The log of the probability of each whole sequence [n, t], filled up with END, of which each has at least one.

        evidence[n, t, r]: how likely what was seen there is if r is the true residue; without it, the residues are seen as they are.
        """
        evidence = certain(sequences, len(self.background)) if evidence is None else evidence
        begun = np.zeros((len(sequences), len(self.matched) + 1))  # state m: m match states are done with, said or left out
        begun[:, 0] = 1.0
        begun = self._skipped(begun)
        total, scale = np.full(len(sequences), -np.inf), np.zeros(len(sequences))
        for residue, seen in zip(sequences.T, np.moveaxis(evidence, 1, 0), strict=True):
            ended = (residue == END) & np.isneginf(total)
            total = np.where(ended, scale + np.log(np.maximum(begun[:, -1] * (1 - self.insert), 1e-300)), total)
            inserted = begun * self.insert * (seen @ self.background)[:, None]
            matched = np.zeros_like(begun)
            matched[:, 1:] = begun[:, :-1] * (1 - self.insert) * (1 - self.skip) * (seen @ self.matched.T)
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


def certain(sequences: np.ndarray, residues: int = len(AMINO_ACIDS)) -> np.ndarray:
    """The evidence [n, t, r] of residues that are seen as they are."""
    return np.eye(residues)[np.where(sequences == END, 0, sequences)]


def mixed(families: list[Family], sequences: np.ndarray, evidence: np.ndarray | None = None) -> np.ndarray:
    """The log of the probability of each sequence if every family is as likely."""
    each = np.stack([family.logprobs(sequences, evidence) for family in families])
    highest = each.max(0)
    return highest + np.log(np.exp(each - highest).mean(0))


def odds(families: list[Family], sequences: np.ndarray) -> np.ndarray:
    """By how many nats the best family likes each sequence more than residues drawn at random; minus infinity if it has no end."""
    ended = (sequences == END).any(1)
    each = np.stack([family.logprobs(np.where(ended[:, None], sequences, END)) for family in families]).max(0)
    return np.where(ended, each + (sequences != END).sum(1) * np.log(len(AMINO_ACIDS)), -np.inf)


def posterior(families: list[Family], sequences: np.ndarray, evidence: np.ndarray, places: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The chances of each residue [n, slots, r] at places [n, slots] of sequences whose lengths are known and residues by evidence.

    `there` is the evidence at those places themselves [n, slots, r], by one who is asked about them.
    """
    count, (rows, _) = len(AMINO_ACIDS), np.indices(places.shape)
    at = np.repeat(places.ravel(), count)
    every = np.repeat(evidence[rows.ravel()], count, 0)
    every[np.arange(len(every)), at] = np.tile(np.eye(count), (places.size, 1))
    logs = mixed(families, np.repeat(sequences[rows.ravel()], count, 0), every).reshape(*places.shape, count)
    chances = np.exp(logs - logs.max(-1, keepdims=True)) * there
    return chances / chances.sum(-1, keepdims=True)


def masked_optimum(families: list[Family], dataset: MapDataset, first: int, rate: float = 0.15) -> float:
    """Nats per mask of the best guesses there can be at BERT's masks, where residue 0 is token `first`: [CLS] residues [SEP].

    A visible residue may have been replaced by another: those chosen in half of the cases, all others by one who does not
    know which were.
    """
    rows = stacked([example(dataset, at) for at in range(len(dataset))])
    tokens, there, places = rows["tokens"][:, 1:-1], rows["present"][:, 2:], np.maximum(rows["masked"] - 1, 0)  # without the frame
    count, shown = len(AMINO_ACIDS), there & (tokens >= first)
    same = np.eye(count)[np.where(shown, tokens - first, 0)]
    seen = np.where(shown[..., None], (1 - 0.9 * rate) * same + 0.1 * rate / count, 1.0)
    asked = np.where(shown[..., None], 0.5 * same + 0.5 / count, 1.0)[np.arange(len(same))[:, None], places]
    chances = posterior(families, np.where(there, 0, END), seen, places, asked)
    right = np.take_along_axis(chances, np.where(rows["weights"] > 0, rows["labels"] - first, 0)[..., None], -1)[..., 0]
    return float((-np.log(right) * rows["weights"]).sum() / rows["weights"].sum())


def members(families: list[Family], count: int, length: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """So many sequences [count, length], END after the last residue, and the family each is of; longer ones are drawn anew."""
    of, rows = random.integers(len(families), size=count), np.full((count, length), END, np.int32)
    for number, family in enumerate(families):
        still = np.flatnonzero(of == number)
        while still.size:
            said = family.sample(still.size, random)[:, :length]
            fit = said[:, -1] == END
            rows[still[fit], :said.shape[1]] = said[fit]
            still = still[~fit]
    return rows, of
