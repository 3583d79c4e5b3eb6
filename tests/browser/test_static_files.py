"""A browser asks for a stylesheet or a script once."""

from playwright.sync_api import Page

from tests.browser.site import Site


def test_the_second_page_asks_for_none(page: Page, site: Site) -> None:
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    asked: dict[str, str] = {}
    answered: set[str] = set()
    devtools.on(
        "Network.requestWillBeSent",
        lambda sent: asked.update({sent["requestId"]: sent["request"]["url"]}),
    )
    # That comes of what the server answered alone, a 304 too.
    devtools.on(
        "Network.responseReceivedExtraInfo", lambda answer: answered.add(answer["requestId"])
    )
    page.goto(f"{site.url}/smtp-admin/")
    asked.clear()
    answered.clear()
    page.goto(f"{site.url}/smtp-admin/mail")
    files = {number for number, url in asked.items() if "/smtp-admin/static/" in url}
    assert len(files) > 5
    assert [asked[number] for number in files & answered] == []
    assert answered, "the page itself was answered"
