"""Imports go down, never up: a file may be read knowing only those below it."""
import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(str(path.relative_to(ROOT)) for top in ("transformer", "experiments") for path in (ROOT / top).rglob("*.py"))
FLOORS = {
    "weights": 0, "sharding": 0, "masks": 0, "positions": 0, "mistakes": 0, "costs": 0, "knobs": 0, "hlo": 0, "pages": 0, "compiled": 0,
    "attention": 1, "caches": 1, "layers": 1, "convolution": 1, "recurrent": 1, "experts": 1, "adapters": 1, "mixtures": 1,
    "stack": 2,
    "models": 3, "losses": 3, "matching": 3, "compression": 3, "data": 3, "looking": 3,
    "training": 4, "decoding": 4, "huggingface": 4, "pretrained": 4,
    "presets": 5, "shows": 5, "bench": 5, "describe": 5, "plan": 5, "generate": 5, "speaker": 5, "strategy": 5, "transcribe": 5,
    "__main__": 5,
}
# What is kept out of a folder although it lies outside or below.
KEPT_OUT = {
    "transformer": ("experiments",),
    "transformer/models": ("optax", "orbax", "grain", "transformer.data"),
    "transformer/data": ("jax", "flax", "optax", "orbax"),
    "transformer/training": ("transformer.models",),
}


def imported(source: str) -> list[str]:
    """The full name of everything a source imports, wherever in it; a relative import keeps its dots."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += ["." * node.level + f"{node.module or ''}.{alias.name}" for alias in node.names]
    return names


def floor_of(module: list[str]) -> int:
    """Of `transformer.stack.PreNorm`: 2. Experiments stand above everything; what is not ours stands below."""
    if module[0] == "transformer" and len(module) > 1:
        return FLOORS.get(module[1], 0 if module[1] == "__init__" else 9)
    return 6 if module[0] == "experiments" else -1


def wrongs(path: str, source: str) -> list[str]:
    """What is wrong with the imports of the file at this path."""
    own = path.removesuffix(".py").split("/")
    found = []
    for name in imported(source):
        parts = name.split(".")
        kept_out = [out for folder, outs in KEPT_OUT.items() if path.startswith(folder + "/") for out in outs]
        if name.startswith("."):
            found.append(f"{path}: write {name} in full")
        elif floor_of(parts) > floor_of(own):
            found.append(f"{path}: {name} is on a floor above")
        elif any(f"{name}.".startswith(f"{out}.") for out in kept_out):
            found.append(f"{path}: {name} is kept out of here")
        elif parts[0] == "transformer" and any(part.startswith("_") for part in parts[1:]):
            found.append(f"{path}: {name} is private")
        elif parts[0] == "experiments" and own[-1] != "__main__":
            found.append(f"{path}: nothing imports an experiment")
    return found


@pytest.mark.parametrize("path", FILES)
def test_imports_go_down(path):
    assert wrongs(path, (ROOT / path).read_text(encoding="utf-8")) == []


def test_every_file_has_a_floor():
    there = {path.removesuffix(".py").split("/")[1] for path in FILES if path.startswith("transformer/")} - {"__init__"}
    assert there <= FLOORS.keys(), f"give {there - FLOORS.keys()} a floor"


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("transformer/masks.py", "import transformer.stack"),
        ("transformer/masks.py", "def f():\n    from transformer import layers"),
        ("transformer/stack.py", "from transformer.models.gpt2 import GPT2"),
        ("transformer/losses.py", "from transformer.training.step import State"),
        ("transformer/models/gpt2.py", "import optax"),
        ("transformer/models/gpt2.py", "from orbax import checkpoint"),
        ("transformer/models/gpt2.py", "from transformer.data.examples import windows"),
        ("transformer/models/gpt2.py", "from transformer.models.t5 import _private"),
        ("transformer/models/gpt2.py", "from .t5 import T5"),
        ("transformer/data/packing.py", "import jax.numpy as jnp"),
        ("transformer/training/step.py", "from transformer.models import gpt2"),
        ("transformer/__main__.py", "from experiments.decoders import gpt2"),
        ("experiments/decoders/gpt3.py", "from experiments.decoders.gpt2 import experiment"),
    ],
)
def test_an_import_that_goes_up_is_found(path, source):
    assert len(wrongs(path, source)) == 1
    assert wrongs(path, "import math\nfrom transformer.weights import weight\n" if "data" not in path else "import numpy") == []
