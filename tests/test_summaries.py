"""Logs and what is to be said of them; functions and their authors' own summaries."""
from transformer.data import functions, sources
from transformer.data.made import logs


def test_a_summary_says_what_the_log_does():
    log = "08:15 web started . 09:00 db failed . 09:30 mail failed . 17:45 db stopped"
    assert logs.summary(log) == "08:15 to 17:45 : 2 failed , the last was mail"
    assert logs.summary("01:00 web started . 02:00 db stopped") == "01:00 to 02:00 : none failed"
    unseen = logs.logs(100, seed=2)
    learned = logs.logs(2000, seed=1, but=frozenset(unseen))
    assert not set(unseen) & set(learned) and 0 < logs.times_and_a_guess(learned, unseen) < 0.2
    for log in unseen:
        assert 4 <= len(log.split(" . ")) <= 9 and log.split()[0] < log.split(" . ")[-1].split()[0]


def test_functions_come_with_their_first_line_and_are_parted_by_file(monkeypatch):
    texts = ['def area(width, height):\n    """Return what a rectangle covers.\n\n    More.\n    """\n\n    return width * height\n',
             'class A:\n    def b(self):\n        "Too short."\n        return 1\n    def c(self):\n        """Give it all back, later."""\n        x = 1\n        return x\n',
             'def again():\n    """Return what a rectangle covers."""\n    return 0\n\ndef none():\n    return 1\n']
    monkeypatch.setattr(sources, "standard_library", lambda: texts)
    found = functions.described(3)
    assert {one.line for one in found} == {"Return what a rectangle covers.", "Give it all back, later."}
    assert all('"""' not in one.code for one in found)
    assert any(one.code == "c ( self )\nx = 1\nreturn x" for one in found)
    learned, unseen = functions.parted(found)
    assert {one.file for one in learned}.isdisjoint({one.file for one in unseen}) and learned and unseen
