"""Data bindings: what is told of them, and where."""

from djchan.upgrade.bindings import notes
from tests.support.upgrading import about, project


def test_bindings():
    files = {
        "bindings.py": """
            from channels.binding.websockets import WebsocketBinding

            class Base(WebsocketBinding):
                model = None

            class Old(WebsocketBinding):
                model = Value

            class Named(Base):
                model = Value
                fields = ["name"]
        """
    }

    assert about("neither fields", notes(project(files))) == [("bindings.py", 7)]
    assert about("stored row", notes(project(files))) == [("bindings.py", 10)]
