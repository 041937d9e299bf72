"""Logs and what is to be said of them; functions and their authors' own summaries."""
from transformer.data import tokenizers
from transformer.data.docstrings import spoken
from transformer.data.examples import example
from transformer.data.made import logs
from transformer.data.pairs import hinted


def test_a_summary_says_what_the_log_does():
    log = "08:15 web started . 09:00 db failed . 09:30 mail failed . 17:45 db stopped"
    assert logs.summary(log) == "08:15 to 17:45 : 2 failed , the last was mail"
    assert logs.summary("01:00 web started . 02:00 db stopped") == "01:00 to 02:00 : none failed"
    unseen = logs.logs(100, seed=2)
    learned = logs.logs(2000, seed=1, but=frozenset(unseen))
    assert not set(unseen) & set(learned) and 0 < logs.times_and_a_guess(learned, unseen) < 0.2
    for log in unseen:
        assert 4 <= len(log.split(" . ")) <= 9 and log.split()[0] < log.split(" . ")[-1].split()[0]


def test_code_is_spoken():
    assert spoken("def getHTTPItem(self, x_2):\n    return self._items[x_2]") == "def get http item self x 2 return self items x 2"


def test_hints_are_words_of_the_answer_among_those_of_the_question():
    asked, answers = ["one two three four"] * 2, ["five six seven"] * 2
    tokenizer = tokenizers.spaced([*asked, *answers])
    told = hinted(asked, answers, tokenizer, (12, 5)).repeat(20)
    rows = [example(told, at) for at in range(len(told))]
    read = [tokenizer.decode(row["source"]).split() for row in rows]
    assert all(tokenizer.decode(row["labels"]) == "five six seven" for row in rows)
    assert len(set(map(tuple, read))) > 20
    for text, most in ((asked[0], 4), (answers[0], 3)):
        counts = {sum(word in text.split() for word in words) for words in read}
        assert {0, most} <= counts, "none of it, all of it"
