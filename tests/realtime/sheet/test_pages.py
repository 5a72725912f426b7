"""The pages of the sheets: choose one, see one; filled at the first use."""

import json
import re

import pytest
from django.contrib.auth import get_user_model

from realtime.sheet.models import Price, Stock
from realtime.sheet.sheets import SHEETS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("site")]


def about(response):
    script = r'<script id="about" type="application/json">(.*?)</script>'
    return json.loads(re.search(script, response.content.decode(), re.DOTALL)[1])


def test_the_list_leads_to_every_sheet(client):
    content = client.get("/sheet/").content.decode()
    for name in SHEETS:
        assert f'href="/sheet/{name}/"' in content
        assert client.get(f"/sheet/{name}/").status_code == 200


def test_no_sheet_has_this_name(client):
    assert client.get("/sheet/nothing/").status_code == 404


def test_the_table_is_filled_once(client):
    first = about(client.get("/sheet/shop/"))
    assert len(first["cells"]) == 4 * len(SHEETS["shop"].rows) == 4 * Stock.objects.count()
    assert first["labels"] == ["Item", "Amount", "Place", "Note"]
    assert first["choices"][2]["window"] == "In the window"
    Stock.objects.filter(name="Honey").delete()
    assert len(about(client.get("/sheet/shop/"))["cells"]) == len(first["cells"]) - 4


@pytest.mark.parametrize("sheet", SHEETS.values(), ids=list(SHEETS))
def test_what_it_is_filled_with_is_valid(sheet):
    sheet.seed()
    sheet.seed()
    assert sheet.model.objects.count() == len(sheet.rows)
    for row in sheet.model.objects.all():
        row.full_clean()


@pytest.mark.parametrize(
    ("user", "staff", "shop", "prices"),
    [(None, False, False, False), ("bob", False, True, False), ("ada", True, True, True)],
)
def test_it_offers_fields_to_who_may_write(client, user, staff, shop, prices):
    if user:
        person = get_user_model().objects.create(username=user, is_staff=staff)
        client.force_login(person)
    assert about(client.get("/sheet/shop/"))["mayWrite"] is shop
    assert about(client.get("/sheet/prices/"))["mayWrite"] is prices
    assert Price.objects.exists()
