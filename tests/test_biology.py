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
    fasta,
    folder,
    kmers,
    numbered,
    translate,
    write_fasta,
)
from transformer.data.examples import examples, stacked
from transformer.data.made.families import END, Family, certain, masked_optimum, members, mixed, odds, posterior
from transformer.data.made.genes import RESIDUES, Genes, spelled
from transformer.data.masking import masked
from transformer.data.pairing import joined
from transformer.data.tokenizers import characters
from transformer.mistakes import Mistake
from transformer.shows.biology import save, used


def test_the_standard_code():
    assert len(CODONS) == 64 and sum(residue == "*" for residue in STANDARD_CODE.values()) == 3
    assert set(STANDARD_CODE.values()) == set(AMINO_ACIDS) | {"*"}
    assert translate("ATGGCCTGA" + "AAA") == "MA" and translate("augGCCaa") == "MA"
    assert [STANDARD_CODE[codon] for codon in ("ATG", "TGG", "AAA", "GGG", "TTT")] == list("MWKGF")
    assert codons("ATGGCCTG") == ["ATG", "GCC"] and kmers("ACGT", 3) == ["ACG", "CGT"]


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


def test_members_are_as_frequent_as_they_are_likely():
    family = Family.of(0, length=2)
    rows, _ = members([family], 20_000, 12, np.random.default_rng(0))
    each, times = np.unique(rows, axis=0, return_counts=True)
    np.testing.assert_allclose(times / times.sum(), np.exp(family.logprobs(each)), atol=0.01)


def test_genes_are_spelled_and_their_surprise_is_their_entropy():
    genes = Genes.of(0)
    rows = genes.sample(400, 100, np.random.default_rng(1))
    assert genes.nats(rows).mean() == pytest.approx(genes.entropy, abs=0.02)
    np.testing.assert_allclose(genes.chances.sum(-1), 1.0)
    dna = "".join(NUCLEOTIDES[letter] for letter in spelled(rows[:1])[0])
    assert translate(dna) == "".join(AMINO_ACIDS[residue] for residue in RESIDUES[rows[0]])


def test_a_wrong_sequence_is_left_out_if_it_may_be(tmp_path, capsys):
    (tmp_path / "a.fa").write_text(">x\nMKV\n>y\nM1V\nM2V\n>z\nMMM\n")
    (tmp_path / "b.fasta").write_text("MKV\n")
    with pytest.raises(Mistake, match="a.fa, line 4: '1' is no residue"):
        folder(tmp_path, AMINO_ACIDS)
    assert folder(tmp_path, AMINO_ACIDS, skip=True) == [("x", "MKV"), ("z", "MMM")]
    said = capsys.readouterr().err
    assert "1 of 3 sequences in" in said and "1 of 2 files in" in said and said.count("skipped: ") == 2
    assert [row.tolist() for row in numbered([("x", "CA"), ("none", "")], AMINO_ACIDS)] == [[1, 0]]
    (tmp_path / "a.fa").write_text(">y\nM1V\n")
    with pytest.raises(Mistake, match="none of the 2 files"):
        folder(tmp_path, AMINO_ACIDS, skip=True)


def test_the_chances_under_a_mask_are_those_of_every_filling():
    kin = [Family.of(seed, length=4) for seed in range(2)]
    rows, _ = members(kin, 3, 9, np.random.default_rng(0))
    evidence = certain(rows)
    evidence[:, 1] = 1.0
    found = posterior(kin, rows, evidence, np.ones((3, 1), int), np.ones((3, 1, 20)))
    filled = np.repeat(rows[:, None], 20, 1)
    filled[:, :, 1] = np.arange(20)
    exact = np.exp(mixed(kin, filled.reshape(-1, 9))).reshape(3, 20)
    np.testing.assert_allclose(found[:, 0], exact / exact.sum(-1, keepdims=True), rtol=1e-6)


def test_who_knows_the_families_guesses_better_than_chance():
    kin, letters = [Family.of(0)], characters(AMINO_ACIDS)
    rows, _ = members(kin, 4, 40, np.random.default_rng(0))
    first = int(letters.encode("A")[0])
    framed = [joined([row[row != END] + first], letters, 42) for row in rows]
    data = masked(examples(**stacked(framed)), letters).seed(0)
    assert 0 < masked_optimum(kin, data, first) < 2.2 < np.log(20)


def test_strangers_are_told_by_their_odds():
    kin, random = [Family.of(0)], np.random.default_rng(0)
    rows, _ = members(kin, 20, 40, random)
    strange = np.where(rows == END, END, random.integers(20, size=rows.shape))
    assert odds(kin, rows).min() > 0 > np.median(odds(kin, strange))
    assert np.isneginf(odds(kin, np.zeros((1, 5), int)))[0]


def test_sequences_are_saved_to_be_read_and_seen(tmp_path):
    said = save(tmp_path, ["ATGATG"], ["ATGCCC", "ATG"], CODONS, "Codons", unit=3)
    assert said.splitlines() == ["generated ATGCCC", "generated ATG", "Codons: usage.png and generated.fa"]
    assert fasta(tmp_path / "generated.fa", NUCLEOTIDES) == [("generated 1", "ATGCCC"), ("generated 2", "ATG")]
    assert used(["ATGCC", "CCC"], CODONS, 3)[[CODONS.index("ATG"), CODONS.index("CCC")]].tolist() == [0.5, 0.5]
    assert (tmp_path / "usage.png").stat().st_size > 5000
