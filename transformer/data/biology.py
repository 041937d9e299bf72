"""Sequences of life: FASTA files, amino acids, nucleotides, codons, and the code that turns one into another.

    for name, residues in fasta("family.fa", AMINO_ACIDS): ...
    translate("ATGGCC")                    # 'MA'
"""
import textwrap
from collections.abc import Iterable
from itertools import product
from pathlib import Path

from transformer.mistakes import Mistake

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
UNSURE = "BXZUO"  # B, Z: one of two; X: any; U, O: selenocysteine and pyrrolysine
NUCLEOTIDES = "ACGT"
CODONS = tuple("".join(letters) for letters in product("TCAG", repeat=3))
# NCBI's table 1, in the order of CODONS; * ends a protein.
STANDARD_CODE = dict(zip(CODONS, "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG", strict=True))


def fasta(path: str | Path, letters: str) -> list[tuple[str, str]]:
    """Names and sequences of a FASTA file whose residues are these letters, in capitals or not; gaps and a last * are dropped."""
    path, found = Path(path), []
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Mistake(f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is no text'}") from None
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if line.startswith(">"):
            found.append([line[1:].strip(), ""])
        elif line and not line.startswith(";"):
            if not found:
                raise Mistake(f"{path}, line {number}: a name should come first, as in >name, but there is {line[:20]!r}")
            residues = line.upper().rstrip("*").replace("-", "").replace(".", "")
            wrong = sorted(set(residues) - set(letters))
            if wrong:
                raise Mistake(f"{path}, line {number}: {wrong[0]!r} is no residue; there are {letters}")
            found[-1][1] += residues
    if not found:
        raise Mistake(f"{path} holds no sequence: a FASTA file has names, as in >name, and residues below them")
    return [(name, residues) for name, residues in found]


def write_fasta(path: str | Path, sequences: Iterable[tuple[str, str]]) -> None:
    Path(path).write_text("".join(f">{name}\n{chr(10).join(textwrap.wrap(residues, 60))}\n" for name, residues in sequences))


def codons(dna: str) -> list[str]:
    """In threes; what is left over at the end is no codon."""
    return [dna[at:at + 3] for at in range(0, len(dna) - 2, 3)]


def translate(dna: str) -> str:
    """The protein that a gene, read from its first letter, stands for: up to the first stop."""
    protein = "".join(STANDARD_CODE[codon] for codon in codons(dna.upper().replace("U", "T")))
    return protein.partition("*")[0]


def complement(dna: str) -> str:
    """The other strand, read its own way."""
    return dna.translate(str.maketrans("ACGTacgt", "TGCAtgca"))[::-1]


def kmers(dna: str, length: int) -> list[str]:
    """All runs of so many letters, each one letter after the one before."""
    return [dna[at:at + length] for at in range(len(dna) - length + 1)]
