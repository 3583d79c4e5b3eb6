"""What a host sets for bare elements leaves our pages as they are; what it sets for us counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .site import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PAGES = {
    "tab": "/smtp-admin/partners/acme",
    "overview": "/smtp-admin/",
    "history": "/smtp-admin/partners/acme/history",
    "renewals": "/smtp-admin/renewals/",
    "troubleshooting": "/smtp-admin/partners/acme/symptoms",
}
#: A designer's element rules: each of them broke something, `nav` turned tabs into dark towers.
HOST_RULES = """
* { letter-spacing: 3px; text-transform: uppercase; }
*, *::before, *::after { border: 0 solid red; margin: 0; padding: 0; box-sizing: content-box; }
nav { width: 15rem; min-height: 20rem; padding: 2rem; background: #102030; color: white; }
main nav a, body main nav a { display: block; padding: 3rem; color: white; }
button, input[type], select, textarea { width: 7rem; background: hotpink; border-radius: 40px; }
button { float: right; }
table { width: 50%; border: 3px dashed; background: yellow; }
td, th { padding: 3rem; text-align: center; }
h1, h2, h3 { color: red; font: 60px serif; border-bottom: 9px solid; }
p, label, li, dd, dt, summary, legend { margin: 3rem; color: red; font-size: 40px; }
ul, ol, dl { list-style: none; padding: 3rem; }
form, fieldset, section, div, details { padding: 1rem; background: beige; }
a { color: orange; text-decoration: none; }
code, pre { background: black; color: lime; }
svg { display: block; max-width: 2rem; }
"""
LOOKS = """(rules) => {
  if (rules) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(rules);
    document.adoptedStyleSheets.push(sheet);
  }
  const names = ["display", "width", "height", "margin", "padding", "border", "color", "font",
    "background-color", "letter-spacing", "text-transform", "text-align", "float", "list-style",
    "border-radius", "text-decoration", "box-sizing"];
  const looks = [];
  for (const one of document.querySelectorAll(".smtp-admin *")) {
    if (one.closest("iframe, option")) continue;
    for (const pseudo of ["", "::before", "::after"]) {
      const style = getComputedStyle(one, pseudo);
      const name = `${one.localName}.${one.className.baseVal ?? one.className}${pseudo}`;
      looks.push(...names.map((what) => `${name} ${what}: ${style.getPropertyValue(what)}`));
    }
  }
  return looks;
}"""


def looks(page: Page, rules: str = "") -> list[str]:
    found: list[str] = page.evaluate(LOOKS, rules)
    return found


def differing(before: list[str], after: list[str]) -> list[tuple[str, str]]:
    assert len(before) == len(after)
    return [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]][:5]


@pytest.mark.parametrize("name", PAGES)
def test_rules_for_bare_elements_change_nothing(page: Page, site: Site, name: str) -> None:
    site.save("acme")
    page.goto(site.url + PAGES[name])
    # The width that is left for our pages is the host's business.
    page.evaluate("document.querySelector('.smtp-admin').style.width = '1000px'")
    before = looks(page)
    assert len(before) > 100
    assert not differing(before, looks(page, HOST_RULES))


def test_what_a_host_sets_for_our_classes_and_properties_counts(page: Page, site: Site) -> None:
    site.save("acme")
    page.goto(site.url + PAGES["tab"])
    rules = """
    .smtp-admin { --smtp-admin-accent: rgb(1, 2, 3); max-width: 700px; }
    .smtp-admin-card { background: rgb(4, 5, 6); }
    """
    looks(page, rules)

    def style(selector: str, name: str) -> Any:
        return page.evaluate(
            "([selector, name]) =>"
            " getComputedStyle(document.querySelector(selector)).getPropertyValue(name)",
            [selector, name],
        )

    assert style(".smtp-admin a", "color") == "rgb(1, 2, 3)"
    assert style(".smtp-admin", "max-width") == "700px"
    assert style(".smtp-admin-card", "background-color") == "rgb(4, 5, 6)"
