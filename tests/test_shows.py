"""Pictures of numbers say what the numbers are."""
from matplotlib.figure import Figure

from transformer.data.files import Question
from transformer.data.tokenizers import spaced
from transformer.shows.bars import bars
from transformer.shows.texts import answers


def test_bars_stand_from_the_top_down_and_ours_alone_has_a_colour(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path: drawn.append((figure, path)))
    show = bars({"one": 2.0, "other": 1.5}, "ours", "nats", lambda model, values: {"nats": 1.25}, "nats per word")
    assert show(None, tmp_path) == "one 2.000; other 1.500; ours 1.250 (nats per word)"
    ((figure, path),) = drawn
    (axes,) = figure.axes
    names = {place: label.get_text() for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)}
    seen = sorted((-bar.get_y(), names[round(bar.get_y() + bar.get_height() / 2)], bar.get_width(), bar.get_facecolor()) for bar in axes.patches)
    assert [(name, value) for _, name, value, _ in seen] == [("one", 2.0), ("other", 1.5), ("ours", 1.25)]
    assert [text.get_text().strip() for text in axes.texts] == ["2", "1.5", "1.25"]
    one, other, ours = (colour for *_, colour in seen)
    assert one == other and len(set(one[:3])) == 1 < len(set(ours[:3]))
    assert path == tmp_path / "bars.png" and figure.get_suptitle() == "ours 1.250 nats per word, other 1.500"


def test_of_questions_only_those_that_have_an_answer_are_shown(tmp_path):
    show = answers([Question("1", "who sat ?", "the cat sat", ())], spaced("who the cat sat ?"), 16)
    assert show(None, tmp_path) == "" and (tmp_path / "answers.png").exists()
