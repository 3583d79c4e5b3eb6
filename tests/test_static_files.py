"""Our static files have addresses that change with their content, and browsers keep them."""

import re

import pytest
from flask import url_for

from tests.app import ADMIN, HostApp
from tests.test_pages import PREFIX, get, names, site

__all__ = ["names", "site"]

STYLESHEET = re.compile(rf'href="({PREFIX}/static/[0-9a-f]{{12}}/css/smtp-admin\.css)"')
_PLAIN = f"{PREFIX}/static/css/smtp-admin.css"


def address(site: HostApp) -> str:
    """Where the stylesheet is, as a page says."""
    (found,) = STYLESHEET.findall(get(site, "/").text)
    return str(found)


def test_a_browser_keeps_what_a_page_names(site: HostApp) -> None:
    answer = site.client.get(address(site))
    kept = answer.cache_control
    assert (kept.max_age, kept.immutable, kept.no_cache) == (365 * 86400, True, None)
    assert answer.data == site.client.get(_PLAIN).data
    again = site.client.get(address(site), headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_a_cookie_that_goes_with_it_is_kept_by_no_shared_cache(site: HostApp) -> None:
    """Apps whose sessions are permanent renew the cookie with each answer."""
    client, path = site.client, address(site)
    with client.session_transaction() as session:
        session.permanent = True
    answer = client.get(path)
    assert "Set-Cookie" in answer.headers
    kept = answer.headers["Cache-Control"].split(", ")
    assert ("private" in kept, "public" in kept) == (True, False)
    assert answer.cache_control.max_age == 365 * 86400


def test_another_release_gets_ours_and_asks_again(site: HostApp) -> None:
    for path in (_PLAIN, _PLAIN.replace("/css/", "/0123456789ab/css/")):
        answer = site.client.get(path)
        assert answer.status_code == 200
        assert "no-cache" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("name", ["css/none.css", "../setup.cfg", "", "0123456789ab/css/none.css"])
def test_what_is_not_there(site: HostApp, name: str) -> None:
    found = address(site).removesuffix("css/smtp-admin.css")
    answer = site.client.get(found + name)
    assert answer.status_code == 404
    assert answer.cache_control.max_age is None


def test_while_files_change(site: HostApp) -> None:
    site.app.debug = True
    assert f'href="{_PLAIN}"' in get(site, "/").text


def test_the_apps_own_files_are_left_alone(host: HostApp) -> None:
    host.actor = ADMIN
    with host.app.test_request_context("/"):
        assert url_for("static", filename="own.css") == "/static/own.css"
