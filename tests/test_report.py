"""The tables of all results."""
import json

from experiments import report
from experiments.report import MARKS


def expected(measure, value, met):
    return {"stage": "", "measure": measure, "value": value, "threshold": 0.5, "baseline": 0.25, "above": True, "met": met}


def finished(place, name, seed, *expects, smoke=False, **changed):
    folder = place / name / str(seed)
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(
        {"name": name, "shape": "decoders", "loss": "next_token", "corpus": "a corpus", "values": {}, "expects": expects, "met": True,
         "seed": seed, "smoke": smoke, "changed": changed, "minutes": 1.0 + seed, "parameters": 3, "machine": "a machine"}))


def test_every_number_is_in_one_table_and_what_is_missed_in_the_other(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "KEPT", tmp_path / "results.jsonl")
    finished(tmp_path, "one", 0, expected("right", 0.6, True), expected("found", 0.3, False))
    finished(tmp_path, "two", 0, expected("right", 0.7, True), expected("found", 0.8, True))
    finished(tmp_path, "two", 1, expected("right", 0.9, True), expected("found", 0.8, True))
    finished(tmp_path, "two", 2, expected("right", 0.1, False), smoke=True)
    readme, results = tmp_path / "README.md", tmp_path / "RESULTS.md"
    readme.write_text(f"before\n{MARKS[0]}what was\n{MARKS[1]}after\n")
    for _ in range(2):  # again, without the runs, from what was kept
        report.report(tmp_path, results, readme)
        rows = [line for line in results.read_text().splitlines() if line.startswith("| `") or line.startswith("|  |")]
        assert len(rows) == 4 and "**≥ 0.5 missed**" in rows[1] and "0.7 / 0.8 / 0.9" in rows[2]
        before, one, two, after = (line for line in readme.read_text().splitlines() if line[:3] in ("bef", "aft", "| `"))
        assert (before, after) == ("before", "after") and "what was" not in readme.read_text()
        assert one == "| `one` | a corpus | found | 0.3 | **≥ 0.5 missed** | 0.25 | 1.0 |"
        assert two == "| `two` | a corpus | right | 0.7 / 0.8 / 0.9 | ≥ 0.5 | 0.25 | 1.5 |"
        for path in tmp_path.glob("*/*/result.json"):
            path.unlink()


def test_a_file_of_the_users_takes_no_place_of_what_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "KEPT", tmp_path / "results.jsonl")
    finished(tmp_path, "classify", 0, expected("right", 0.1, False), file="mine.csv")
    finished(tmp_path, "bard", 0, expected("nats", 1.5, True), file="tinyshakespeare.txt")
    report.report(tmp_path, tmp_path / "RESULTS.md", tmp_path / "README.md")
    assert "`bard`" in (tmp_path / "RESULTS.md").read_text() and "`classify`" not in (tmp_path / "RESULTS.md").read_text()


def test_thresholds_that_differ_by_seed_are_all_told():
    one, other = ({**expected("right", 0.7, True), "threshold": bound, "baseline": bound - 0.1} for bound in (0.5, 0.6))
    runs = [{"name": "one", "shape": "decoders", "loss": "", "corpus": "", "machine": "", "minutes": 1.0, "expects": [some]} for some in (one, other)]
    assert "| 0.7 | ≥ 0.5 / 0.55 / 0.6 | 0.4 / 0.45 / 0.5 | 2 | 1.0 |" in report.table(runs)


def test_a_measure_held_to_two_bounds_has_a_row_for_each_whatever_other_seeds_were_held_to():
    twice = [{**expected("error", 0.1, True), "threshold": bound, "above": False} for bound in (0.2, 0.3)]
    runs = [{"name": "one", "shape": "decoders", "loss": "", "corpus": "", "machine": "", "minutes": 1.0, "expects": some}
            for some in ([expected("right", 0.7, True), *twice], twice)]
    rows = report.table(runs).splitlines()[-2:]
    assert "| error | 0.1 | ≤ 0.2 |" in rows[0] and "| error | 0.1 | ≤ 0.3 |" in rows[1]
