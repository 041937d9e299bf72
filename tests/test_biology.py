"""FASTA files, the genetic code, and made families and genes whose likelihood is exact."""
from itertools import product

import numpy as np
import pytest

from transformer.data.biology import (
    AMINO_ACIDS,
    CODONS,
    NUCLEOTIDES,
    STANDARD_CODE,
    UNSURE,
    codons,
    complement,
    fasta,
    kmers,
    translate,
    write_fasta,
)
from transformer.data.made.families import END, Family, members, mixed
from transformer.data.made.genes import RESIDUES, Genes, spelled
from transformer.mistakes import Mistake


def test_the_standard_code():
    assert len(CODONS) == 64 and sum(residue == "*" for residue in STANDARD_CODE.values()) == 3
    assert set(STANDARD_CODE.values()) == set(AMINO_ACIDS) | {"*"}
    assert translate("ATGGCCTGA" + "AAA") == "MA" and translate("augGCCaa") == "MA"
    assert [STANDARD_CODE[codon] for codon in ("ATG", "TGG", "AAA", "GGG", "TTT")] == list("MWKGF")
    assert codons("ATGGCCTG") == ["ATG", "GCC"] and kmers("ACGT", 3) == ["ACG", "CGT"]
    assert complement("AACG") == "CGTT" and complement(complement("GATTACA")) == "GATTACA"


def test_a_fasta_file_comes_back(tmp_path):
    sequences = [("first of two", AMINO_ACIDS * 5), ("second", "MKV")]
    write_fasta(tmp_path / "a.fa", sequences)
    assert fasta(tmp_path / "a.fa", AMINO_ACIDS) == sequences
    assert max(len(line) for line in (tmp_path / "a.fa").read_text().splitlines()) == 60
    (tmp_path / "b.fa").write_text("; a remark\n>x\nmk-v\n\nAX*\n")
    assert fasta(tmp_path / "b.fa", AMINO_ACIDS + UNSURE) == [("x", "MKVAX")]


@pytest.mark.parametrize(("text", "sentence"), [
    (">x\nMKV\nM1V\n", "a.fa, line 3: '1' is no residue; there are ACDEFGHIKLMNPQRSTVWY"),
    ("MKV\n", "a.fa, line 1: a name should come first, as in >name, but there is 'MKV'"),
    ("\n\n", "a.fa holds no sequence"),
])
def test_a_wrong_fasta_file_is_refused_by_line(tmp_path, text, sentence):
    (tmp_path / "a.fa").write_text(text)
    with pytest.raises(Mistake, match=sentence):
        fasta(tmp_path / "a.fa", AMINO_ACIDS)
    with pytest.raises(Mistake, match="cannot read"):
        fasta(tmp_path / "none.fa", AMINO_ACIDS)


def test_all_sequences_of_a_family_together_are_certain():
    """Every sequence over two letters up to a length: with few insertions almost nothing is left."""
    family = Family.of(0, length=2, evenness=5.0)
    few = Family(family.matched[:, :2] / family.matched[:, :2].sum(-1, keepdims=True), np.full(2, 0.5), 0.01, 0.2)
    total = 0.0
    for length in range(6):
        rows = np.asarray([(*letters, END) for letters in product(range(2), repeat=length)])
        total += np.exp(few.logprobs(rows)).sum()
    assert total == pytest.approx(1.0, abs=1e-6)


def test_a_familys_likelihood_is_that_of_its_paths():
    family = Family.of(1, length=2, insert=0.1, skip=0.3)
    a, b = family.matched
    c, i, s = 1 / len(AMINO_ACIDS), 0.1, 0.3
    ends = (1 - i) ** 3  # no further insertion at any of the three places
    one = ends * ((1 - s) * s * (a[4] + b[4]) + s * s * 3 * i * c)
    assert family.logprobs(np.asarray([[4, END, END]]))[0] == pytest.approx(np.log(one))
    assert family.logprobs(np.asarray([[END, END]]))[0] == pytest.approx(np.log(ends * s * s))


def test_members_are_told_from_strangers():
    families = [Family.of(seed) for seed in range(3)]
    rows, of = members(families, 60, 40, np.random.default_rng(0))
    best = np.stack([family.logprobs(rows) for family in families]).argmax(0)
    assert (best == of).mean() > 0.95 and (rows[:, -1] == END).all()
    assert np.isfinite(mixed(families, rows)).all()


def test_genes_are_spelled_and_their_surprise_is_their_entropy():
    genes = Genes.of(0)
    rows = genes.sample(400, 100, np.random.default_rng(1))
    assert genes.nats(rows).mean() == pytest.approx(genes.entropy, abs=0.02)
    np.testing.assert_allclose(genes.chances.sum(-1), 1.0)
    dna = "".join(NUCLEOTIDES[letter] for letter in spelled(rows[:1])[0])
    assert translate(dna) == "".join(AMINO_ACIDS[residue] for residue in RESIDUES[rows[0]])
