"""When two addresses are the same."""

import pytest

from smtp_admin.config import public_url
from smtp_admin.sandbox.address import comparable

SAME = [
    ("https://panel.example.com", "http://panel.example.com"),
    ("https://panel.example.com", "https://PANEL.example.com/"),
    ("https://panel.example.com", "https://panel.example.com:443"),
    ("http://panel.example.com:80", "https://panel.example.com:443"),
    ("https://panel.example.com", "https://panel.example.com."),
    ("https://panel.example.com/mail", "http://panel.example.com/mail/"),
    ("http://[2001:db8::1]", "http://[2001:DB8:0:0:0:0:0:1]"),
    *(
        ("http://localhost:5000", f"https://{name}:5000")
        for name in ("127.0.0.1", "127.4.5.6", "[::1]", "LOCALHOST", "panel.localhost",
                     "localhost.localdomain", "[::ffff:127.0.0.1]", "ip6-localhost")
    ),
]  # fmt: skip
OTHER = [
    ("https://panel.example.com", "https://staging.example.com"),
    ("https://panel.example.com", "https://panel.example.com:8443"),
    ("https://panel.example.com", "https://panel.example.com/staging"),
    ("https://panel.example.com/a", "https://panel.example.com/A"),
    ("http://localhost:5000", "http://localhost:5001"),
    ("http://localhost", "http://10.0.0.1"),
    ("http://localhost", "http://localhost.example.com"),
    ("http://localhost", "http://notlocalhost"),
    ("http://[2001:db8::1]", "http://[2001:db8::2]"),
]


@pytest.mark.parametrize(("one", "two"), SAME)
def test_the_same(one: str, two: str) -> None:
    assert comparable(public_url(one)) == comparable(public_url(two))


@pytest.mark.parametrize(("one", "two"), OTHER)
def test_another(one: str, two: str) -> None:
    assert comparable(public_url(one)) != comparable(public_url(two))


def test_none() -> None:
    assert comparable("") == ""
    assert comparable("https://panel.example.com:8443/mail/") == "panel.example.com:8443/mail"
