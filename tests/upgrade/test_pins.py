"""Requirements that cannot be met any more: which are told, and what takes their place."""

from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from djchan.upgrade.pins import Need, needed, notes

# As if these were what djchan needs: the test stays right when that changes.
NEEDS = {
    name: Need(SpecifierSet(versions), Version(installed))
    for name, versions, installed in [
        ("asgiref", ">=3.5,>=3.11.1,<4,!=3.12", "3.11.2"),
        ("attrs", ">=22.2", "26.1"),
        ("autobahn", ">=26.10.1", "26.10.1"),
        ("channels", ">=4.3", "4.3.2"),
        ("daphne", ">=4.2.3", "4.2.3"),
        ("django", ">=5.2.14,!=6.0", "5.2.19"),
        ("redis", ">=6", "7.1"),
        ("twisted", ">=24.7", "25.5"),
        ("zope-interface", ">=5", "8.1"),
    ]
}


def told(line: str) -> list[str]:
    return [note.sentence for note in notes("requirements.txt", line, NEEDS)]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("channels", "djchan in place"),
        ("channels==1.1.8", "djchan in place"),
        ("channels>=1.0", "djchan in place"),
        ("channels<2", "djchan in place"),
        ("channels==2.4.0", "djchan in place"),
        ("-e git+https://github.com/django/channels@1.1.8#egg=channels", "djchan in place"),
        ("asgi_redis==1.4.3", "Take this out"),
        ("asgi-redis[cryptography]", "djchan[crypto]"),
        ("asgi_rabbitmq>=0.5.5", "Take this out"),
        ("asgi_ipc", "Take this out"),
        ("asgi-amqp==1.0.3", "Take this out"),
        ("msgpack-python==0.5.6", "Take this out"),
        ("asgiref==1.1.2  # via channels", "asgiref>=3.11.1,<4 along"),
        ("daphne~=1.4", "daphne>=4.2.3"),
        ("daphne<2", "daphne>=4.2.3"),
        ("daphne>=1.2,<=1.4.2", "daphne>=4.2.3"),
        ("Twisted==17.9.0", "Twisted>=24.7"),
        ("Twisted[tls,http2]==17.9.0", "Twisted>=24.7"),
        ("autobahn===17.10.1", "autobahn>=26.10.1"),
        ("attrs==17.3.0", "attrs>=22.2"),
        ("zope.interface==4.4.3", "zope.interface>=5"),
        ("redis>=2.10,<3", "redis>=6"),
        ("https://example.com/Twisted-17.9.0.tar.bz2", "Twisted>=24.7"),
        ("Django==1.11.29", "Django 5.2"),
        ("Django<2.0", "Django 5.2"),
        ("django<=5.2.3,>=1.8", "Django 5.2"),
        ("Django==1.11.*", "Django 5.2"),
        ("psycopg2==2.6.1", "psycopg2>=2.9.9"),
        ("psycopg2-binary<2.9", "psycopg2-binary>=2.9.9"),
        ("mysqlclient==1.3.12", "mysqlclient>=2.2.1"),
        ("MySQL-python==1.2.5", "Write mysqlclient"),
        ("enum34==1.1.6", "Python has it"),
        ("futures==3.2.0", "Python has it"),
        ("pkg-resources==0.0.0", "Debian"),
    ],
)
def test_what_cannot_be_met_has_one_note(line: str, word: str):
    [sentence] = told(line)
    assert word in sentence


@pytest.mark.parametrize(
    "line",
    [
        "channels>=4",
        "channels-redis==4.3",
        "django-channels-x==1.0",
        "my-channels",
        "djchan",
        "daphne",
        "daphne>=1.4",
        "Django>=1.11",
        "Django>=1.11,<5.3",
        "Django==5.2.15",
        "Django!=2.0",
        "redis>=2.10,<8",
        "redis~=6.0",
        "Twisted<26,>=17.1",
        "attrs==22.2.0",
        "requests==2.18.4",
        "psycopg2>=2.7",
        "mysqlclient>=1.3,<3",
        'futures==3.2.0; python_version < "3"',
        'asgiref==1.1.2; python_version == "2.7"',
        "# channels==1.1.8",
        "-r channels.txt",
    ],
)
def test_what_can_be_met_has_none(line: str):
    assert told(line) == []


def test_what_djchan_needs_is_what_is_installed_with_it():
    needs = needed()

    own = [Requirement(line) for line in metadata.requires("djchan") or ()]
    assert {"asgiref", "channels", "daphne", "django", "redis", "twisted"} <= set(needs)
    assert {"attrs", "automat", "hyperlink", "incremental", "txaio", "zope-interface"} <= set(needs)
    # By an extra of twisted's, which Daphne asks for.
    assert "service-identity" in needs
    assert "libcst" not in needs
    [daphne] = [one.specifier for one in own if one.name == "daphne"]
    assert str(daphne) in str(needs["daphne"].versions)
    assert all(one.versions.contains(one.installed, prereleases=True) for one in needs.values())
