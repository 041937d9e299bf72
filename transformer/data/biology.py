"""Sequences of life: FASTA files, amino acids, nucleotides, codons, and the code that turns one into another.

    for name, residues in fasta("family.fa", AMINO_ACIDS): ...
    for name, letters in folder("genes", NUCLEOTIDES): ...
    translate("ATGGCC")                    # 'MA'
"""
import sys
import textwrap
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import numpy as np

from transformer.data import files
from transformer.mistakes import Mistake

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
UNSURE = "BXZUO"  # B, Z: one of two; X: any; U, O: selenocysteine and pyrrolysine
NUCLEOTIDES = "ACGT"
CODONS = tuple("".join(letters) for letters in product("TCAG", repeat=3))
# NCBI's table 1, in the order of CODONS; * ends a protein.
STANDARD_CODE = dict(zip(CODONS, "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG", strict=True))


ENDINGS = (".fa", ".fasta", ".fna", ".ffn", ".faa", ".frn")


def folder(path: str | Path, letters: str, skip: bool = False) -> list[tuple[str, str]]:
    """Names and sequences of all FASTA files below a folder, or of one file.

    What cannot be read stops everything; if it may be skipped, a wrong sequence is left out, and a file that is no FASTA file.
    """
    return [one for content in files.each(path, ENDINGS, lambda file: fasta(file, letters, skip), skip)[1] for one in content]


def numbered(sequences: Iterable[tuple[str, str]], letters: str) -> list[np.ndarray]:
    """Each sequence as the places of its residues among the letters."""
    return [np.asarray([letters.index(residue) for residue in residues], np.int32) for _, residues in sequences if residues]


def fasta(path: str | Path, letters: str, skip: bool = False) -> list[tuple[str, str]]:
    """Names and sequences of a FASTA file whose residues are these letters, in capitals or not; gaps and a last * are dropped.

    A sequence with another letter is refused; or skipped, and it is said how many were.
    """
    path, found, wrong = Path(path), [], dict[int, str]()
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
            if strange := sorted(set(residues) - set(letters)):
                wrong.setdefault(len(found) - 1, f"{path}, line {number}: {strange[0]!r} is no residue; there are {letters}")
            found[-1][1] += residues
    if wrong and (not skip or len(wrong) == len(found)):
        raise Mistake(next(iter(wrong.values())))
    if wrong:
        print(*(f"skipped: {sentence}" for sentence in wrong.values()), sep="\n", file=sys.stderr)
        print(f"{len(wrong)} of {len(found)} sequences in {path} were skipped", file=sys.stderr)
    if not found:
        raise Mistake(f"{path} holds no sequence: a FASTA file has names, as in >name, and residues below them")
    return [(name, residues) for at, (name, residues) in enumerate(found) if at not in wrong]


def write_fasta(path: str | Path, sequences: Iterable[tuple[str, str]]) -> None:
    Path(path).write_text("".join(f">{name}\n{chr(10).join(textwrap.wrap(residues, 60))}\n" for name, residues in sequences))


def codons(dna: str) -> list[str]:
    """In threes; what is left over at the end is no codon."""
    return [dna[at:at + 3] for at in range(0, len(dna) - 2, 3)]


def translate(dna: str) -> str:
    """The protein that a gene, read from its first letter, stands for: up to the first stop."""
    protein = "".join(STANDARD_CODE[codon] for codon in codons(dna.upper().replace("U", "T")))
    return protein.partition("*")[0]


def kmers(dna: str, length: int) -> list[str]:
    """All runs of so many letters, each one letter after the one before."""
    return [dna[at:at + length] for at in range(len(dna) - length + 1)]
