"""Imports go down, never up: a file may be read knowing only those below it."""
import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = {
    "weights": 0, "sharding": 0, "masks": 0, "positions": 0, "mistakes": 0, "costs": 0,
    "attention": 1, "layers": 1, "convolution": 1, "recurrent": 1,
    "stack": 2,
    "models": 3, "losses": 3, "data": 3,
    "training": 4, "decoding": 4, "huggingface": 4, "knobs": 4,
    "plan": 5, "__main__": 5,
}
# What a folder may not import, although it lies below or outside.
KEPT_OUT = {
    "transformer/models": ("optax", "orbax", "grain", "transformer.data", "transformer.losses"),
    "transformer/losses.py": ("optax", "orbax", "grain", "transformer.data", "transformer.models"),
    "transformer/training": ("transformer.models", "transformer.decoding", "transformer.huggingface"),
    "transformer/data": ("jax", "flax", "optax", "orbax", "transformer.models", "transformer.losses"),
    "transformer": ("experiments", "torch", "transformers"),
}


def imports(source: str) -> list[tuple[str, str]]:
    """Every (module, name) that a source imports, wherever in it; of `import a.b` the name is empty."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [("." * node.level + (node.module or ""), alias.name) for alias in node.names]
    return found


def faults(path: str, source: str) -> list[str]:
    """What is wrong with the imports of the file at a path below the root."""
    parts = Path(path).with_suffix("").parts
    wrong = []
    for module, name in imports(source):
        full = f"{module}.{name}" if name else module
        here = [folder for folder, kept in KEPT_OUT.items() if path == folder or path.startswith(folder + "/")
                for out in kept if full == out or full.startswith(out + ".")]
        if module.startswith(".") or here and not (here == ["transformer"] and path in MAY):
            wrong.append(f"{path} must not import {full}")
        if module.startswith("transformer") and name.startswith("_"):
            wrong.append(f"{path} imports the private {full}")
        if parts[0] == "experiments" and parts[-1] not in ("__main__", "__init__") and module.startswith("experiments."):
            wrong.append(f"{path} imports the experiment {full}")
        below = full.split(".")
        if parts[0] == "transformer" and len(parts) > 1 and below[0] == "transformer" and len(below) > 1 \
                and parts[1] in FLOORS and FLOORS.get(below[1], 9) > FLOORS[parts[1]]:
            wrong.append(f"{path} (floor {FLOORS[parts[1]]}) imports {full} from a floor above")
        if parts[:2] == ("transformer", "models") and full.startswith("transformer.models."):
            wrong.append(f"{path} leans on another family: {full}")
    return wrong
