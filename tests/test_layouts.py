"""The pages wear the host's layout and templates, under the host's prefix."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app import ADMIN, HostApp
from tests.test_pages import HTML, PREFIX, get, names, site
from tests.test_static_files import STYLESHEET

__all__ = ["names", "site"]


def test_default_layout(site: HostApp) -> None:
    page = get(site, "/").text
    assert "<title>Mail – Northwind</title>" in page
    assert page.count("<main>") == 1
    assert STYLESHEET.search(page)


LAYOUT = """<!doctype html><html lang="en"><head>
<title>{% block title %}{% endblock %} at Host</title>
{% block head %}<meta name="host-head">{% endblock %}</head>
<body class="host"><header>HOST</header>{% block content %}{% endblock %}
{% block scripts %}<script src="/host.js"></script>{% endblock %}</body></html>"""


def test_host_layout(new_app: Callable[..., HostApp], tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "layout.html").write_text(LAYOUT)
    site = new_app(LAYOUT="host/layout.html")
    site.app.template_folder = str(tmp_path)
    site.actor = ADMIN
    for path, title in (("/", "Mail"), ("/partners/acme", "Acme GmbH"), ("/partners/x", "Not f")):
        page = get(site, path).text
        assert f"<title>{title}" in page
        for words in ("HOST", 'name="host-head"', "/host.js", "css/smtp-admin.css", "js/tab.js"):
            assert words in page
        assert page.count("<body") == 1
        assert "Northwind</title>" not in page


def test_host_overrides_a_template(new_app: Callable[..., HostApp], tmp_path: Path) -> None:
    (tmp_path / "smtp_admin").mkdir()
    (tmp_path / "smtp_admin" / "overview.html").write_text(
        '{% extends "smtp_admin/page.html" %}{% block page %}OURS {{ rows|length }}{% endblock %}'
    )
    site = new_app()
    site.app.template_folder = str(tmp_path)
    site.actor = ADMIN
    assert "OURS 3" in get(site, "/partners").text
    assert "OURS 4" in get(site, "/").text
    assert "OURS" not in get(site, "/symptoms").text


def test_other_prefix(new_app: Callable[..., HostApp]) -> None:
    site = new_app(URL_PREFIX="/deep/mail")
    site.actor = ADMIN
    page = site.client.get("/deep/mail/partners/acme", headers=HTML).text
    assert 'action="/deep/mail/partners/acme"' in page
    assert "/smtp-admin/" not in page


def test_a_missing_layout_is_named_and_pages_work(
    new_app: Callable[..., HostApp], caplog: pytest.LogCaptureFixture
) -> None:
    site = new_app(LAYOUT="host/layuot.html")
    site.actor = ADMIN
    answer = site.client.get(f"{PREFIX}/partners/acme", headers=HTML)
    assert answer.status_code == 200
    assert 'name="host"' in answer.text
    assert "SMTP_ADMIN_LAYOUT is 'host/layuot.html'" in caplog.text
