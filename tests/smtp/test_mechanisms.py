"""Which way to log in is chosen of those that a server offers."""

import pytest
from smtp_admin.smtp.mechanisms import choose


@pytest.mark.parametrize(
    ("offered", "encrypted", "chosen"),
    [
        (["LOGIN", "PLAIN", "CRAM-MD5"], True, "PLAIN"),
        (["CRAM-MD5", "LOGIN"], True, "LOGIN"),
        (["XOAUTH2", "CRAM-MD5"], True, "CRAM-MD5"),
        (["LOGIN", "PLAIN", "CRAM-MD5"], False, "CRAM-MD5"),
        (["LOGIN", "PLAIN"], False, "PLAIN"),
        (["LOGIN"], False, "LOGIN"),
        (["XOAUTH2", "GSSAPI"], True, ""),
        ([], False, ""),
    ],
)
def test_the_password_is_shown_only_where_nobody_else_reads(
    offered: list[str], encrypted: bool, chosen: str
) -> None:
    """Over plain text, the way that does not send it comes first; else the standard one."""
    assert choose(offered, encrypted=encrypted) == chosen
