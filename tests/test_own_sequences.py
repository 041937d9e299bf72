"""Experiments on code and on sequences of life learn from the user's own files, or say what is wrong with them."""
import numpy as np
import pytest

from experiments.decoders import code, code_characters, codons, dna, proteins, syntax_trees
from experiments.encoder_decoders import genetic_code
from experiments.encoders import esm
from transformer.data.biology import AMINO_ACIDS, NUCLEOTIDES, write_fasta
from transformer.mistakes import Mistake
from transformer.training.experiment import stages

TINY = {"layers": 1, "embed": 16, "heads": 2}
SEQUENCES = {dna: NUCLEOTIDES, codons: NUCLEOTIDES, genetic_code: NUCLEOTIDES, proteins: AMINO_ACIDS, esm: AMINO_ACIDS}


def first_batch(module, **given):
    experiment = next(stages(module.experiment(length=24, **TINY, **given)))
    assert len(experiment.data) and len(experiment.held_out) and not given["folder"].name.isspace()
    return experiment


@pytest.mark.slow
@pytest.mark.parametrize("module", SEQUENCES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_own_sequences(tmp_path, capsys, module):
    random, letters = np.random.default_rng(0), SEQUENCES[module]
    write_fasta(tmp_path / "some.fa", [(f"n{n}", "".join(random.choice([*letters], 120))) for n in range(12)])
    assert tmp_path.name in first_batch(module, folder=tmp_path).corpus
    (tmp_path / "wrong.fa").write_text(">one\nACGT\nAC5T\n")
    with pytest.raises(Mistake, match=r"wrong.fa, line 3: '5' is no residue; there are [A-Z]+"):
        first_batch(module, folder=tmp_path)
    first_batch(module, folder=tmp_path, skip=True)
    assert "1 of 2 files in" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("module", [code, code_characters, syntax_trees], ids=lambda module: module.__name__.rpartition(".")[2])
def test_own_programs(tmp_path, capsys, module):
    for n in range(12):
        (tmp_path / f"m{n}.py").write_text("".join(f"def f{n}_{k}(x, y={k}):\n    return x + {n * k} * y\n\n" for k in range(30)))
    small = {} if module is syntax_trees else {"vocab": 300}
    first_batch(module, folder=tmp_path, **small)
    (tmp_path / "broken.py").write_text("def f(x):\nreturn x\n")
    with pytest.raises(Mistake, match="broken.py, line 2: there should be Python, but 'return x' is none"):
        first_batch(module, folder=tmp_path, **small)
    first_batch(module, folder=tmp_path, skip=True, **small)
    assert "1 of 13 files in" in capsys.readouterr().err
