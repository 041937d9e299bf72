"""Makes recurrent.npz: what PyTorch's bidirectional LSTM and GRU say of rows of unequal length. Needs the extra `parity`.

    python tests/reference/make_recurrent.py
"""
from pathlib import Path

import numpy as np
import torch

LENGTHS = [6, 4, 1]


def recorded() -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    x = torch.randn(3, 6, 5)
    arrays = {"x": x.numpy(), "present": np.arange(6) < np.asarray(LENGTHS)[:, None]}
    for name, kind in (("LSTM", torch.nn.LSTM), ("GRU", torch.nn.GRU)):
        cell = kind(5, 4, batch_first=True, bidirectional=True)
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first=True)
        said, last = cell(packed)
        said, _ = torch.nn.utils.rnn.pad_packed_sequence(said, batch_first=True)
        arrays |= {f"{name}.{key}": value.detach().numpy() for key, value in cell.state_dict().items()}
        arrays[f"{name}.said"] = said.detach().numpy()
        for place, state in enumerate(last if name == "LSTM" else (last,)):
            arrays[f"{name}.last{place}"] = state.detach().numpy()
    return arrays


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).parent / "recurrent.npz", **recorded())  # pyright: ignore[reportArgumentType]
