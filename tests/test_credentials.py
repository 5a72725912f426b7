"""What is left of a URL in a text about settings."""

import pytest

from djchan.credentials import without_credentials


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("redis://:S3CRET@cache:6379/0", "redis://***@cache:6379/0"),
        ("redis://ada:S3CRET@cache", "redis://***@cache"),
        ("redis://S3CRET@cache", "redis://***@cache"),
        ("redis://:a@S3CRET/b?c#d@cache", "redis://***@cache"),
        ("{'redis://:S3CRET@a': ['rediss://:S3CRET@b']}", "{'redis://***@a': ['rediss://***@b']}"),
        ("redis://cache?password=S3CRET&db=1", "redis://cache?password=***&db=1"),
        ("unix://:S3CRET@/run/redis.sock", "unix://***@/run/redis.sock"),
        ("redis://cache:6379/0 is away", "redis://cache:6379/0 is away"),
        ("write redis://user:password@host:port/db", "write redis://user:password@host:port/db"),
        ("ada@example.com", "ada@example.com"),
        ("", ""),
    ],
)
def test_no_user_and_no_password_of_a_url(text: str, masked: str):
    assert without_credentials(text) == masked
