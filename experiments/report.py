"""All results in one table: `python -m experiments report` gathers what runs wrote and writes RESULTS.md.

README.md has a line of it for each system, between two marks. What was gathered before stays in results.jsonl, beside this
file, so that a table needs no run to be kept.
"""
import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KEPT = HERE / "results.jsonl"
SHAPES = ("embeddings", "encoders", "decoders", "encoder_decoders", "workflows")
HEAD = """# Results

Every system that has been measured, by `python -m experiments NAME --seed N`, as written by `python -m experiments report`:
the least, the median and the greatest value over its seeds, on data held out. A threshold is what `--check` asks for; the
baseline is computed from the same data; where they differ by seed, they are told so too. Minutes are the median's, on {machine}.

| system | shape | loss | data | measure | value | threshold | baseline | seeds | minutes |
|---|---|---|---|---|---|---|---|---|---|
"""

MARKS = "<!-- what systems reach, as `python -m experiments report` writes it -->\n", "<!-- so far -->\n"
BRIEF = "| system | data | measure | value | threshold | baseline | minutes |\n|---|---|---|---|---|---|---|\n"

READ_A_FILE = ("shakespeare", "bard")  # they have no data but the user's

Result = dict[str, Any]


def report(runs: Path = Path("runs"), out: Path = Path("RESULTS.md"), readme: Path = Path("README.md")) -> None:
    """Gathers the finished runs below a folder, keeps the latest of each system and seed, and writes the tables."""
    kept = {(one["name"], one["seed"]): one for one in [*_lines(KEPT), *_finished(runs)]}
    results = sorted(kept.values(), key=lambda one: (_place(one), one["name"], one["seed"]))
    KEPT.write_text("".join(json.dumps(one) + "\n" for one in results))
    text = table(results)
    out.write_text(text)
    if readme.exists() and all(mark in readme.read_text() for mark in MARKS):
        before, _, rest = readme.read_text().partition(MARKS[0])
        readme.write_text(before + MARKS[0] + brief(results) + MARKS[1] + rest.partition(MARKS[1])[2])
    print(text)


def table(results: Iterable[Result]) -> str:
    """One row for each number that a system is held to."""
    systems = _systems(results)
    machines = sorted({one["machine"] for runs in systems for one in runs})
    return HEAD.format(machine="; ".join(machines)) + "".join(row for runs in systems for row in _rows(runs))


def brief(results: Iterable[Result]) -> str:
    """One row for each system: the first number that it misses, or if none the first that it is held to."""
    table = BRIEF
    for first, *more in ([_cells(row) for row in _rows(runs)] for runs in _systems(results)):
        shown = next((cells for cells in [first, *more] if "missed" in cells[6]), first)
        table += f"| {' | '.join([first[0], first[3], *shown[4:8], first[-1]])} |\n"
    return table


def _systems(results: Iterable[Result]) -> list[list[Result]]:
    systems: dict[str, list[Result]] = {}
    for one in results:
        systems.setdefault(one["name"], []).append(one)
    return list(systems.values())


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def _rows(runs: list[Result]) -> Iterable[str]:
    """The runs of one system with several seeds."""
    one = runs[-1]
    minutes = statistics.median(run["minutes"] for run in runs)
    judged = [_judged(run) for run in runs]
    for at, (key, expected) in enumerate(judged[-1].items()):
        same = [own[key] for own in judged if key in own]
        value, bound, baseline = (_spread([other[name] for other in same]) for name in ("value", "threshold", "baseline"))
        measure = f"{expected['stage']}: {expected['measure']}" if expected["stage"] else expected["measure"]
        first = [f"`{one['name']}`", one["shape"].replace("_", "-"), one["loss"].replace("_", " "), one["corpus"]] if not at else [""] * 4
        last = [str(len(runs)), f"{minutes:.1f}"] if not at else ["", ""]
        threshold = f"{'≥' if expected['above'] else '≤'} {bound}"
        met = all(other["met"] for other in same)
        yield "| " + " | ".join([*first, measure.replace("_", " "), value, threshold if met else f"**{threshold} missed**",
                                 baseline, *last]) + " |\n"


def _judged(run: Result) -> dict[tuple[str, str, int], Result]:
    """What is expected of a run by stage and measure, and by number where a measure is held to several bounds."""
    found: dict[tuple[str, str, int], Result] = {}
    for one in run["expects"]:
        before = sum(key[:2] == (one["stage"], one["measure"]) for key in found)
        found[one["stage"], one["measure"], before] = one
    return found


def _spread(values: list[float]) -> str:
    said = [f"{value:.4g}" for value in (min(values), statistics.median(values), max(values))]
    return said[0] if len(set(said)) == 1 else " / ".join(said)


def _finished(runs: Path) -> Iterable[Result]:
    """What whole runs came to, oldest first: those with an experiment's own knobs, and data."""
    for path in sorted(runs.glob("*/*/result.json")):
        result = json.loads(path.read_text())
        given = {"file"} if result["name"] in READ_A_FILE else set[str]()
        if "changed" in result and set(result["changed"]) <= given and result["expects"] and not result["smoke"]:
            yield {name: result[name] for name in
                   ("name", "shape", "loss", "corpus", "expects", "seed", "minutes", "parameters", "machine")}


def _lines(path: Path) -> list[Result]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _place(result: Result) -> int:
    return SHAPES.index(result["shape"]) if result["shape"] in SHAPES else len(SHAPES)
