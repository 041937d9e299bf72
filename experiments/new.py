"""A file to begin from: `python -m experiments new my_idea --like t5` writes my_idea.py, one function that runs as it is.

It is the other experiment's own function, with the imports it needs; what stands beside it in that file is imported from there.
A function too long to begin from is called instead, with the same knobs.
"""
import ast
import textwrap
from pathlib import Path

from transformer.mistakes import Mistake

LONGEST = 60  # lines


def new(name: str, like: Path) -> Path:
    """Writes NAME.py here, in the manner of the experiment in that file."""
    if not name.isidentifier():
        raise Mistake(f"{name!r} is no name for an experiment; use letters, digits and underscores, as in my_idea")
    path = Path(f"{name}.py")
    if path.exists():
        raise Mistake(f"{path} is there already; choose another name, or move it away")
    path.write_text(begun(name, like))
    return path


def begun(name: str, like: Path) -> str:
    """The text of the new file."""
    source = like.read_text()
    tree = ast.parse(source)
    (function,) = [part for part in tree.body if isinstance(part, ast.FunctionDef) and part.name == "experiment"]
    text = _written(name, like, tree, function, ast.get_source_segment(source, function) or "")
    return text if len(text.splitlines()) <= LONGEST else _written(name, like, tree, *_calling(like, function))


def _written(name: str, like: Path, tree: ast.Module, function: ast.FunctionDef, body: str) -> str:
    used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)} | {"main"}
    imports = [_wrapped(kept) for part in tree.body if isinstance(part, ast.Import | ast.ImportFrom) if (kept := _needed(part, used))]
    beside = sorted(used & {target for part in tree.body if part.__dict__.get("name") != "experiment" for target in _defined(part)})
    module = f"experiments.{like.parent.name}.{like.stem}"
    if function.name in used:  # the other experiment, under its own name
        imports.append(f"from {module} import experiment as {like.stem}")
    if beside:
        imports.append(_wrapped(f"from {module} import {', '.join(beside)}"))
    body = body.replace(f"return {function.name}(", f"return {like.stem}(")
    return "\n".join([f'"""{name}, begun as {like.stem}: say here what is new, and the number to expect.', "",
                      f"    python {name}.py", '"""', *imports, "", "", body, "", "",
                      'if __name__ == "__main__":', "    main(experiment)", ""])


def _calling(like: Path, function: ast.FunctionDef) -> tuple[ast.FunctionDef, str]:
    """A function with the same knobs that hands them on."""
    knobs = [knob.arg for knob in function.args.args]
    returns = f"\0->\0{ast.unparse(function.returns)}" if function.returns else ""  # \0 is a space where no line may end
    knobs_given = ast.unparse(function.args).replace(": ", ":\0").replace("=", "\0=\0")
    head = textwrap.fill(f"def experiment({knobs_given}){returns}:", 120, subsequent_indent=" " * 15).replace("\0", " ")
    call = textwrap.fill(f"return experiment({', '.join(f'{knob}={knob}' for knob in knobs)})", 116,
                         initial_indent="    ", subsequent_indent=" " * 8)
    (shorter,) = ast.parse(f"{head}\n{call}").body
    assert isinstance(shorter, ast.FunctionDef)
    return shorter, f"{head}\n    # Change the knobs here, or with dataclasses.replace what comes back.\n{call}"


def _wrapped(line: str) -> str:
    """An import on as many lines as it takes."""
    if len(line) <= 120:
        return line
    head, _, names = line.partition(" import ")
    return f"{head} import (\n{textwrap.fill(names, 116, initial_indent='    ', subsequent_indent='    ')},\n)"


def _needed(part: ast.Import | ast.ImportFrom, used: set[str]) -> str:
    """The same import of only what is used."""
    part.names = [alias for alias in part.names if (alias.asname or alias.name).partition(".")[0] in used]
    return ast.unparse(part) if part.names else ""


def _defined(part: ast.stmt) -> list[str]:
    if isinstance(part, ast.FunctionDef | ast.ClassDef):
        return [part.name]
    if isinstance(part, ast.Assign):
        return [node.id for target in part.targets for node in ast.walk(target) if isinstance(node, ast.Name)]
    return [part.target.id] if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name) else []
