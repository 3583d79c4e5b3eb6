"""Whoever removes a suppression is led to the mail that it kept back, if there is any."""

from smtp_admin.delivery.suppressions import suppress
from smtp_admin.pages.mail_filters import kept_back_url
from tests.app import HostApp
from tests.delivery.workbench import queue


def test_only_where_there_is_some(host: HostApp) -> None:
    host.save_sender()
    session = host.db.session()
    suppress(session, "acme", "tom@example.org", "manual")
    session.commit()
    queue(host, "tom@example.org", "mia@example.org")
    with host.app.test_request_context():
        link = kept_back_url(session, "acme", {"Tom@Example.org"})
        assert "state=suppressed" in link
        assert "q=Tom@Example.org" in link
        assert kept_back_url(session, "acme", {"mia@example.org"}) == ""
        assert kept_back_url(session, "globex", {"tom@example.org"}) == ""
        several = kept_back_url(session, "acme", {"tom@example.org", "mia@example.org"})
        assert several.endswith("state=suppressed")
