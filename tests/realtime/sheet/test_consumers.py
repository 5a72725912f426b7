"""What a sheet's consumers answer, to whom, and what is in the database then."""

import json

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from realtime.sheet.models import Cell, Price, Stock
from realtime.sheet.sheets import SHEETS
from tests.realtime.site import SOCKET, lines, socket

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("site")]

SHOP, PRICES = "/ws/sheet/shop/", "/ws/sheet/prices/"
OTHER = "websocket.send.SERVER!2"
NAME, AMOUNT, PLACE, NOTE = range(4)


@pytest.fixture(autouse=True)
def rows(db):
    for sheet in SHEETS.values():
        sheet.seed()


@pytest.fixture
def cups():
    return Stock.objects.get(name="Cups")  # 8, in the window


def connect(path=SHOP, user=None, staff=False, reply_channel=SOCKET):
    """Open a socket as this user, as a browser does: the session's key is in its cookie."""
    headers = []
    if user:
        browser = Client()
        person, _ = get_user_model().objects.update_or_create(
            username=user, defaults={"is_staff": staff}
        )
        browser.force_login(person)
        headers = [(b"cookie", f"sessionid={browser.cookies['sessionid'].value}".encode())]
    socket("connect", path, reply_channel=reply_channel, headers=headers)


def write(row, column, value, seen=0, *, path=SHOP, sheet="shop", reply_channel=SOCKET, **more):
    frame = {"kind": "write", "sheet": sheet, "id": row, "column": column, "value": value}
    frame = {**frame, "seen": seen, **more}
    socket("receive", path, text=json.dumps(frame), reply_channel=reply_channel)


def test_anybody_may_join(sent):
    connect()
    assert [call[:3] for call in sent] == [
        ("send", SOCKET, {"accept": True}),
        ("add", "sheet_shop", SOCKET),
    ]
    sent.clear()
    socket("disconnect", SHOP, code=1001)
    assert [call[:3] for call in sent] == [("discard", "sheet_shop", SOCKET)]


def test_the_socket_of_a_login_joins_what_closes_it(sent):
    connect(user="ada")
    ada = get_user_model().objects.get(username="ada")
    joined = [call[1] for call in sent if call[0] == "add"]
    assert joined[0] == "sheet_shop" and joined[1].startswith("login-")
    assert joined[2] == f"login-user-{ada.pk}"
    # Somebody looks at the login after the join: it may have ended before.
    assert [call[1] for call in sent if call[0] == "send"] == [SOCKET, "logins.look"]


def test_no_sheet_has_this_name(sent):
    connect("/ws/sheet/nothing/")
    socket("receive", "/ws/sheet/nothing/", text='{"kind": "look"}')
    socket("disconnect", "/ws/sheet/nothing/", code=4404)
    (call,) = sent
    assert (call.what["accept"], call.what["close"]) == (True, 4404)
    assert "no sheet nothing" in call.what["text"]


def test_who_looks_gets_every_cell(sent, cups):
    connect(user="bob")
    write(cups.pk, NOTE, "the red ones")
    sent.clear()
    socket("receive", SHOP, text='{"kind": "look"}', reply_channel=OTHER)
    assert [call[:2] for call in sent] == [("send", OTHER)]
    (answer,) = lines(sent)
    assert answer["kind"] == "cells"
    assert len(answer["cells"]) == 4 * Stock.objects.count()
    bob = get_user_model().objects.get(username="bob")
    shown = {(cell["id"], cell["column"]): cell for cell in answer["cells"]}
    assert shown[cups.pk, NOTE] == {
        "sheet": "shop",
        "id": cups.pk,
        "column": NOTE,
        "value": "the red ones",
        "version": 1,
        "by": bob.pk,
        "name": "bob",
    }
    assert shown[cups.pk, AMOUNT]["value"] == "8"
    assert (shown[cups.pk, AMOUNT]["version"], shown[cups.pk, AMOUNT]["by"]) == (0, None)


class TestWrite:
    def test_is_answered_to_the_writer_and_told_to_all_the_others(self, sent, cups):
        connect(user="bob")
        sent.clear()
        write(cups.pk, AMOUNT, " 12 ")
        assert [call[:2] for call in sent] == [
            ("send", SOCKET),
            # Out of the group while it is sent to, in one step with the rest.
            ("discard", "sheet_shop"),
            ("group_send", "sheet_shop"),
            ("add", "sheet_shop"),
        ]
        assert (sent[1].what, sent[3].what) == (SOCKET, SOCKET)
        answer, broadcast = lines(sent)
        bob = get_user_model().objects.get(username="bob")
        cell = {"sheet": "shop", "id": cups.pk, "column": AMOUNT, "value": "12", "version": 1}
        cell |= {"by": bob.pk, "name": "bob"}
        assert answer == {"kind": "saved", **cell}
        assert broadcast == {"kind": "cell", **cell}
        cups.refresh_from_db()
        assert cups.amount == 12

    def test_shows_the_value_as_it_is_kept(self, sent):
        tea = Price.objects.first()
        connect(PRICES, user="ada", staff=True)
        sent.clear()
        write(tea.pk, 1, "2.5", path=PRICES, sheet="prices")
        assert [line["value"] for line in lines(sent)] == ["2.50", "2.50"]

    def test_that_is_run_again_writes_once_and_tells_all_again(self, sent, cups):
        connect(user="bob")
        sent.clear()
        write(cups.pk, AMOUNT, "12")
        first = list(sent)
        sent.clear()
        write(cups.pk, AMOUNT, "12")  # of the first run, nothing may have been sent
        assert sent == first
        assert Cell.objects.get().version == 1

    def test_over_another_one_is_a_conflict_that_says_who_wrote_what(self, sent, cups):
        connect(user="bob")
        connect(user="eve", reply_channel=OTHER)
        write(cups.pk, AMOUNT, "12")
        sent.clear()
        write(cups.pk, AMOUNT, "11", reply_channel=OTHER)
        assert [call[:2] for call in sent] == [("send", OTHER)]
        (answer,) = lines(sent)
        assert (answer["kind"], answer["value"], answer["name"]) == ("conflict", "12", "bob")
        cups.refresh_from_db()
        assert cups.amount == 12

        sent.clear()
        write(cups.pk, AMOUNT, "11", seen=answer["version"], reply_channel=OTHER)
        assert [(line["kind"], line["version"]) for line in lines(sent)] == [
            ("saved", 2),
            ("cell", 2),
        ]
        cups.refresh_from_db()
        assert cups.amount == 11

    def test_of_another_cell_of_the_row_is_no_conflict(self, sent, cups):
        connect(user="bob")
        write(cups.pk, AMOUNT, "12")
        sent.clear()
        write(cups.pk, NOTE, "red")
        assert [line["kind"] for line in lines(sent)] == ["saved", "cell"]
        cups.refresh_from_db()
        assert (cups.amount, cups.note) == (12, "red")

    @pytest.mark.parametrize(
        ("column", "value", "reason"),
        [
            (AMOUNT, "many", "whole number"),
            (AMOUNT, "-1", "greater than or equal to 0"),
            (AMOUNT, "1000", "less than or equal to 999"),
            (AMOUNT, "", "required"),
            (AMOUNT, "9" * 400, "less than or equal to 999"),
            (AMOUNT, "13", "In the window there is room for 12"),  # the row as a whole
            (PLACE, "moon", "not one of the available choices"),
            (NAME, "Honey", "already exists"),
            (NAME, "  ", "required"),
            (NAME, "x" * 31, "at most 30 characters"),
            (NOTE, "x" * 501, "at most 500 characters"),
            (NOTE, "two\nlines", "one line"),
            (NOTE, "\ud800", "one line"),
            (NOTE, "\0", "one line"),
        ],
    )
    def test_of_what_is_not_valid_is_refused_with_the_reason(
        self, sent, cups, column, value, reason
    ):
        connect(user="bob")
        sent.clear()
        write(cups.pk, column, value)
        assert [call[:2] for call in sent] == [("send", SOCKET)]
        (answer,) = lines(sent)
        assert (answer["kind"], answer["id"], answer["column"]) == ("refused", cups.pk, column)
        assert reason in answer["reason"]
        as_before = Stock.objects.values_list("name", "amount", "place", "note").get(pk=cups.pk)
        assert as_before == ("Cups", 8, "window", "the blue ones")
        assert not Cell.objects.exists()

    def test_of_text_in_any_script_is_kept(self, sent, cups):
        connect(user="bob")
        for version, note in enumerate(["bleu\u00a0clair", "青い", "👩‍🚀 <b>"]):
            write(cups.pk, NOTE, note, seen=version)
            cups.refresh_from_db()
            assert cups.note == note


class TestMay:
    @pytest.mark.parametrize(
        ("path", "user", "staff", "may"),
        [
            (SHOP, None, False, False),
            (SHOP, "bob", False, True),
            (PRICES, None, False, False),
            (PRICES, "bob", False, False),
            (PRICES, "ada", True, True),
        ],
    )
    def test_write(self, sent, path, user, staff, may):
        connect(path, user=user, staff=staff)
        sent.clear()
        sheet = path.split("/")[-2]
        row = SHEETS[sheet].model.objects.first()
        write(row.pk, 0, "New name", path=path, sheet=sheet)
        assert lines(sent)[0]["kind"] == ("saved" if may else "refused")
        row.refresh_from_db()
        assert (row.name == "New name") is may
        if not may:
            assert (user or "not signed in") in lines(sent)[0]["reason"]

    def test_be_taken_away_while_the_socket_is_open(self, sent):
        connect(PRICES, user="ada", staff=True)
        get_user_model().objects.update(is_staff=False)
        sent.clear()
        write(Price.objects.first().pk, 0, "New name", path=PRICES, sheet="prices")
        assert [line["kind"] for line in lines(sent)] == ["refused"]

    def test_not_go_around_by_the_socket_of_another_sheet(self, sent):
        connect(user="bob")
        sent.clear()
        write(Price.objects.first().pk, 0, "New name", sheet="prices")
        assert [line["kind"] for line in lines(sent)] == ["refused"]
        assert not Price.objects.filter(name="New name").exists()
        assert not Stock.objects.filter(name="New name").exists()


@pytest.mark.parametrize(
    "frame",
    [
        {"text": "not JSON"},
        {"text": "[]"},
        {"text": "1"},
        {"text": '{"kind": "erase"}'},
        {"text": '{"kind": ["write"]}'},
        {"text": '{"kind": "write"}'},
        {"text": "[" * 100_000},
        {"text": '{"kind": "write", "id": ' + "9" * 5000 + "}"},
        {"bytes": b"\xff"},
        {},
    ],
)
def test_what_is_no_frame_is_refused(sent, frame):
    connect(user="bob")
    sent.clear()
    socket("receive", SHOP, **frame)
    assert [call[:2] for call in sent] == [("send", SOCKET)]
    assert [line["kind"] for line in lines(sent)] == ["refused"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": 0},
        {"id": 999_999},
        {"id": 2**63},
        {"id": -1},
        {"id": "1"},
        {"id": True},
        {"id": 1.0},
        {"id": None},
        {"column": 4},
        {"column": -1},
        {"column": 2**63 - 1},
        {"column": [1]},
        {"value": 5},
        {"value": None},
        {"seen": -1},
        {"seen": "0"},
        {"sheet": "prices"},
        {"sheet": {}},
    ],
    ids=str,
)
def test_a_write_to_what_is_not_there_is_refused(sent, cups, wrong):
    connect(user="bob")
    sent.clear()
    write(**{"row": cups.pk, "column": NOTE, "value": "new", **wrong})
    assert [call[:2] for call in sent] == [("send", SOCKET)]
    (answer,) = lines(sent)
    assert answer["kind"] == "refused" and len(answer["reason"]) > 20
    assert not Cell.objects.exists()
