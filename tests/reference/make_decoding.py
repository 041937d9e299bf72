"""Makes decoding.json and decoding.npz, which the tests of decoding compare with, from what transformers 5 recorded.

    python tests/reference/make_decoding.py ORACLES/decoding

The folder holds processors (49 outputs of logits processors), whisper_timestamps (12 of its timestamp rules) and toy_lm with
toy_generate (120 texts, greedy and by beams, of a language model that is three tables).
"""
import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def gathered(folder: Path) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    cases = {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
             for name in ("processors", "whisper_timestamps", "toy_generate")}
    arrays = {}
    for name in ("processors", "whisper_timestamps", "toy_lm"):
        with np.load(folder / f"{name}.npz") as file:
            arrays |= {f"{name}.{key}": value.astype(np.int16) if value.dtype == np.int64 else value for key, value in file.items()}
    return cases, arrays


if __name__ == "__main__":
    cases, arrays = gathered(Path(sys.argv[1]))
    (HERE / "decoding.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n", encoding="utf-8")
    np.savez_compressed(HERE / "decoding.npz", **arrays)
