"""A search watched step by step is the same search; its tree holds what was weighed, and its picture is legible."""
import jax
import numpy as np
import pytest
from tables import Tables

from transformer.decoding import Beams, Contrastive, Greedy, Sample, generate
from transformer.decoding.explained import _ordinal, explained, finding, lines
from transformer.decoding.tree import LETTERS, Node, children, draw_tree, legible, placed
from transformer.mistakes import Mistake

MODEL = Tables.random(9, seed=3, scale=1.2)
SHOWN = "abcdefghi".__getitem__
WAYS = {"greedy": Greedy(), "samples": Sample(0.8, top_p=0.9, count=3), "beams": Beams(4, count=2), "diverse": Beams(4, groups=2, diversity=0.5)}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_explained_is_what_is_generated(way):
    asked = {"most": 6, "strategy": WAYS[way], "ends": 4, "key": jax.random.key(1)}
    tree, found = explained(MODEL, [1, 2], **asked)
    alone = generate(MODEL, [[1, 2]], **asked)
    np.testing.assert_array_equal(found.tokens, alone.tokens)
    np.testing.assert_allclose(found.scores, alone.scores, rtol=1e-5)
    best = tuple(found.texts()[0][int(found.scores[0].argmax())])
    assert [path for path in tree if tree[path].fate == "chosen"] == sorted((best[:at] for at in range(len(best) + 1)), key=len)
    for text, score in zip(found.texts()[0], found.scores[0], strict=True):
        node = tree[tuple(text)]
        assert node.fate in ("ended", "chosen")
        length = len(text) if way in ("beams", "diverse") else 1
        if way != "diverse":  # whose scores were lowered for what others said
            assert node.score / length == pytest.approx(score, abs=1e-4)
    for path, below in children(tree).items():
        chances = [tree[child].chance for child in below]
        assert chances == sorted(chances, reverse=True) and sum(chances) <= 1.0001
        assert all(tree[child].score == pytest.approx(tree[path].score + np.log(tree[child].chance), abs=1e-4) for child in below)


def test_every_beam_that_ran_on_was_kept():
    """By hand: the best two of each step's candidates run on, and those passed over are less likely than they."""
    tree, _ = explained(MODEL, [1], most=4, strategy=Beams(2))
    for depth in range(1, 4):
        layer = {path: node for path, node in tree.items() if len(path) == depth}
        kept = sorted((node.score for node in layer.values() if node.fate in ("kept", "chosen")), reverse=True)
        passed = [node.score for node in layer.values() if node.fate == "passed"]
        assert len(kept) == 2 and len(passed) == 2 and min(kept) >= max(passed)


def test_the_lines_tell_every_step():
    tree, found = explained(MODEL, [1, 2], most=3, strategy=Sample(top_k=2), key=jax.random.key(0))
    told = list(lines(tree, SHOWN))
    assert [line for line in told if line.startswith("step")] == ["step 1", "step 2", "step 3"]
    assert sum(line.startswith("  ▶") for line in told) == 3 and sum(line.endswith("cut off") for line in told) == 9
    assert found.tokens.shape == (1, 1, 3)


@pytest.mark.slow
def test_the_finding_says_whether_greedy_would_have_found_it():
    def found(strategy):
        tree, generated = explained(MODEL, [1, 2], most=5, strategy=strategy)
        return finding(tree, generated, strategy, lambda text: "".join(map(SHOWN, text)))

    greedy = "".join(map(SHOWN, generate(MODEL, [[1, 2]], most=5).tokens[0, 0]))
    assert found(Greedy()).startswith(f"Greedy takes the likeliest token every time: “{greedy}”, log-probability -")
    assert found(Beams(1)).startswith(f"The best of 1 beams takes the likeliest token every time, as greedy would: “{greedy}”")
    assert "is not greedy's: at step" in found(Beams(6)) or greedy in found(Beams(6))


def test_places_are_called_as_people_call_them():
    assert [_ordinal(n) for n in (2, 3, 4, 11, 12, 13, 21, 22, 23, 101, 112)] == [
        "second", "third", "4th", "11th", "12th", "13th", "21st", "22nd", "23rd", "101st", "112th"]


def test_only_what_grows_by_one_token_is_explained():
    with pytest.raises(Mistake, match="can be explained"):
        explained(MODEL, [1], most=3, strategy=Contrastive())


def test_no_node_lies_on_another_and_no_edges_cross():
    tree, _ = explained(MODEL, [1, 2], most=8, strategy=Beams(5))
    tree = {path: node for path, node in tree.items() if node.fate != "seen"}
    high = placed(tree)
    for depth in range(1, 9):
        layer = sorted((path for path in tree if len(path) == depth), key=lambda path: -high[path])
        heights = [high[path] for path in layer]
        assert all(above - below >= 1 - 1e-6 for above, below in zip(heights[:-1], heights[1:], strict=True))
        parents = [high[path[:-1]] for path in layer]
        assert parents == sorted(parents, reverse=True)


def test_a_picture_has_a_box_for_every_token_and_none_beyond_its_edge():
    tree = {(): Node(1, 0, "chosen"), (0,): Node(0.7, -0.36, "chosen"), (1,): Node(0.2, -1.6, "passed"), (2,): Node(0.1, -2.3, "seen")}
    figure = draw_tree(tree, SHOWN, "the prompt", "“a” wins")
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts]
    assert {"a", "b", "the prompt", "“a” wins", "70.0%   -0.36", "20.0%   -1.60"} <= set(texts) and "c" not in texts
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    for text in axes.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text


def test_a_token_is_cut_to_its_box_and_spelled_out_where_the_font_has_none():
    assert legible("␣incomprehensibly") == "␣incomprehensi…" and len(legible("x" * 40)) == LETTERS
    assert legible("深") in ("深", "\\u6df1") and legible("$x^2 ⏎") == "$x^2 ⏎"


@pytest.mark.slow
def test_the_command_draws_what_it_prints(place, said, tmp_path):
    out = said(place, "decoder", "--prompt", "def f", "--beams", "3", "--most", "4", "--explain", "--out", str(tmp_path / "tree.png"))
    assert "step 4" in out and "The best of 3 beams" in out
    assert (tmp_path / "tree.png").read_bytes().startswith(b"\x89PNG")
