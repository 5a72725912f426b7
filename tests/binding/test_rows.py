"""djchan.binding.rows: which rows and fields a binding means."""

from djchan.binding.rows import field_of, objects_of
from tests.binding.models import BigCard, Card, Thin


def test_a_field_has_the_names_of_its_relation_and_of_its_attribute():
    owner = Card._meta.get_field("owner")
    assert field_of(Card, "owner") is field_of(Card, "owner_id") is owner
    assert field_of(BigCard, "owner_id") is owner
    assert field_of(Card, "tags").many_to_many
    assert field_of(Card, "bigcard").one_to_one
    assert field_of(Card, "shout") is field_of(Card, "") is None


def test_messages_reach_what_objects_has_or_else_the_default_manager():
    assert objects_of(Card) is Card.objects
    assert objects_of(Thin).name == "all_of_them"
