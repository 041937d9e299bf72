"""Makes what the tests compare with; run it only when a change is meant, and read the difference.

    python tests/reference/make.py             parameters.txt: path, shape and axes of every weight of the tiny models
    python tests/reference/make.py ORACLES     also train_gpt2.npz and train_t5.npz, from runs of PyTorch and transformers: each
                                               folder ORACLES/train_* holds model.safetensors (the start), final/model.safetensors,
                                               grads_step0.safetensors and io.npz (batches, loss and grad_norm of ten AdamW steps)
"""
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]


def parameters() -> str:
    from tiny import SPECS

    from transformer.weights import describe

    lines = [f"{model:8} {path:44} {'x'.join(map(str, shape)):14} {' '.join(axis or '-' for axis in axes)}"
             for model, spec in SPECS.items() for path, shape, axes, _ in describe(spec)]
    return "\n".join(lines) + "\n"


def trained(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    arrays = {name: value.astype(np.int16) if value.dtype == np.int64 else value
              for name, value in np.load(folder / "io.npz").items()}
    for part, file in (("start", "model"), ("final", "final/model"), ("gradient", "grads_step0")):
        arrays |= {f"{part}.{name}": value for name, value in load_file(folder / f"{file}.safetensors").items()}
    return arrays


if __name__ == "__main__":
    (HERE / "parameters.txt").write_text(parameters(), encoding="utf-8")
    for oracles in map(Path, sys.argv[1:]):
        for run in ("train_gpt2", "train_t5"):
            np.savez_compressed(HERE / f"{run}.npz", **trained(oracles / run))
