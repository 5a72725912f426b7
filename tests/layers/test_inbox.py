from djchan.layers import codec
from djchan.layers.inbox import Inbox, call


class Handler:
    answered_seq = 0

    def __init__(self):
        self.told = []

    def on_answer(self, *what):
        self.told.append(("answer", *what))

    def on_replies(self, replies):
        self.told.append(("replies", replies))

    def on_part(self, *what):
        self.told.append(("part", *what))

    def on_progress(self, seq, frames, replies):
        self.told.append(("progress", seq, frames, replies))

    def on_gap(self, group):
        self.told.append(("gap", group))


def inbox_of(*connections):
    leaving = []
    inbox = Inbox(lambda: leaving.append(1))
    handlers = {name: Handler() for name in connections}
    inbox.handlers.update(handlers)
    return inbox, handlers, leaving


def entry(*fields):
    return codec.encode_entry(*fields)


def test_what_the_layer_limits_is_counted_and_nothing_else():
    inbox, _, _ = inbox_of("a")
    reply, group = entry(codec.REPLY, "a", [{"n": 1}]), entry(codec.GROUP, "g", {"n": 1})
    others = [
        entry(codec.ANSWER, "a", 1, [], ""),
        entry(codec.PROGRESS, "a", 1, 2, []),
        entry(codec.PROGRESS, "closed", 1, 2, []),
        entry(codec.ADD, "g", "a"),
        entry(codec.PART, "a", 1, 2, 3, {}),
        entry(codec.GAP, "g"),
        entry(codec.DISCARD, "g", "a"),
        entry(99, "a"),
    ]
    for data in others:
        inbox.take(data)
    assert inbox.read == 0
    inbox.take(reply)
    assert inbox.read == len(reply)
    inbox.take(group)
    assert inbox.read == len(reply) + len(group)
    inbox.take(entry(codec.REPLY, "closed", []))
    assert inbox.read == len(reply) + len(group) + len(entry(codec.REPLY, "closed", []))


def test_the_members_of_a_group_learn_of_a_gap():
    inbox, handlers, _ = inbox_of("a", "b", "c")
    inbox.take(entry(codec.ADD, "g", "a"))
    inbox.take(entry(codec.ADD, "g", "b"))
    inbox.take(entry(codec.GAP, "g"))
    assert [handler.told for handler in handlers.values()] == [[("gap", "g")], [("gap", "g")], []]


def test_a_member_that_fails_does_not_keep_it_from_the_others(caplog):
    inbox, handlers, _ = inbox_of("a", "b")
    for name in "ab":
        inbox.take(entry(codec.ADD, "g", name))
    handlers["a"].on_gap = lambda group: 1 / 0
    inbox.take(entry(codec.GAP, "g"))
    assert handlers["b"].told == [("gap", "g")]
    assert "failed to take what came for it" in caplog.text


def test_an_add_for_nobody_is_undone():
    inbox, _, leaving = inbox_of()
    inbox.take(entry(codec.ADD, "g", "gone"))
    assert leaving
    assert inbox.membership.take_leaving() == ("g",)


def test_a_call_answers_unless_it_fails(caplog):
    assert call(len, "abc") == 3
    assert call(len, 3) is None
    assert caplog.records
