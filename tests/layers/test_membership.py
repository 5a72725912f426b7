"""Who is in which group here, and that no member is lost and none is left behind."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from djchan.layers.membership import Membership

GROUPS = ("g1", "g2", "g3")
CONNECTIONS = ("c1", "c2", "c3")
groups = st.sampled_from(GROUPS)
connections = st.sampled_from(CONNECTIONS)


class GroupProtocol(RuleBasedStateMachine):
    """One process beside a model of the layer's half.

    The layer: ``generation`` of each group this process is in, which a Leave removes iff it
    is not above the cursor; an ``inbox`` of adds and discards that are not yet applied.
    A Leave may get lost on its way, or its answer may, after which it is said again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.membership = Membership()
        self.generation: dict[str, int] = {}
        self.inbox: list[tuple[int, str, str, str]] = []
        self.clock = 0
        self.cursor = 0
        self.open = set(CONNECTIONS)
        self.flying: tuple[tuple[str, ...], int] | None = None
        # Who is a member by what was applied here, in order of joining.
        self.members: dict[str, list[str]] = {group: [] for group in GROUPS}

    def entry(self, kind: str, group: str, connection: str) -> None:
        self.clock += 1
        self.inbox.append((self.clock, kind, group, connection))

    # A worker's commit, in the layer.

    @rule(group=groups, connection=connections)
    def added(self, group: str, connection: str) -> None:
        self.entry("add", group, connection)
        self.generation[group] = self.clock

    @rule(group=groups, connection=connections)
    def discarded(self, group: str, connection: str) -> None:
        self.entry("discard", group, connection)

    # The process, as layers.local does it.

    @precondition(lambda self: self.inbox)
    @rule()
    def applies_one(self) -> None:
        self.cursor, kind, group, connection = self.inbox.pop(0)
        if kind == "discard":
            self.membership.discard(group, connection)
            if connection in self.members[group]:
                self.members[group].remove(connection)
        elif connection in self.open:
            self.membership.add(group, connection)
            if connection not in self.members[group]:
                self.members[group].append(connection)
        else:
            self.membership.refuse(group)

    @rule(connection=connections)
    def closes(self, connection: str) -> None:
        self.open.discard(connection)
        self.membership.close(connection)
        for members in self.members.values():
            if connection in members:
                members.remove(connection)

    @precondition(lambda self: self.flying is None)
    @rule()
    def says_leave(self) -> None:
        leaving = self.membership.take_leaving()
        if leaving:
            self.flying = leaving, self.cursor

    @precondition(lambda self: self.flying is not None)
    @rule(arrives=st.booleans(), answered=st.booleans())
    def leave_travels(self, arrives: bool, answered: bool) -> None:
        assert self.flying is not None
        (leaving, cursor), self.flying = self.flying, None
        if arrives:
            for group in leaving:
                if self.generation.get(group, cursor + 1) <= cursor:
                    del self.generation[group]
        if not (arrives and answered):
            self.membership.put_back(leaving)

    # What must hold.

    @invariant()
    def members_are_who_joined_in_order(self) -> None:
        for group in GROUPS:
            assert list(self.membership.members(group)) == self.members[group]
        assert set(self.membership.groups()) == {g for g in GROUPS if self.members[g]}

    @invariant()
    def no_member_is_unknown_to_the_layer(self) -> None:
        for group in self.membership.groups():
            assert group in self.generation

    def teardown(self) -> None:
        """Once all is applied and said, the layer knows this process where it has members."""
        while self.inbox:
            self.applies_one()
        if self.flying is not None:
            self.leave_travels(arrives=True, answered=True)
        self.says_leave()
        if self.flying is not None:
            self.leave_travels(arrives=True, answered=True)
        assert set(self.generation) == set(self.membership.groups())


TestGroupProtocol = GroupProtocol.TestCase
TestGroupProtocol.settings = settings(max_examples=200, stateful_step_count=40)


def test_adding_twice_is_being_in_it_once():
    membership = Membership()

    membership.add("g", "c1")
    membership.add("g", "c1")
    membership.discard("g", "c1")

    assert membership.members("g") == ()
    assert membership.take_leaving() == ("g",)


def test_leaving_is_taken_once():
    membership = Membership()
    membership.refuse("g")

    assert membership.take_leaving() == ("g",)
    assert membership.take_leaving() == ()


def test_a_refused_add_does_not_leave_a_group_with_members():
    membership = Membership()
    membership.add("g", "c1")

    membership.refuse("g")

    assert membership.take_leaving() == ()


def test_what_was_put_back_is_not_left_after_a_new_member_came():
    membership = Membership()
    membership.refuse("g")
    leaving = membership.take_leaving()
    membership.add("g", "c2")

    membership.put_back(leaving)

    assert membership.take_leaving() == ()


def test_closing_leaves_every_group():
    membership = Membership()
    for group in ("g1", "g2"):
        membership.add(group, "c1")
    membership.add("g2", "c2")

    membership.close("c1")
    membership.close("c1")

    assert membership.groups() == ("g2",)
    assert membership.take_leaving() == ("g1",)
