"""Which mail may leave a sandbox, and how the configuration says it."""

import re
from dataclasses import dataclass

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = rf"@(?:{_LABEL}\.)+{_LABEL}"
_ADDRESS = re.compile(rf"(?!-)(?=[^@]{{1,64}}@)(?=.{{1,254}}\Z){_ATOM}(?:\.{_ATOM})*{_DOMAIN}")
_SANDBOX = (
    'must be "redirect:" and one address, or "allow:" and addresses or domains with commas between '
    'them, such as "redirect:dev@example.com" or "allow:me@example.com,*@example.org"'
)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Which mail leaves a sandbox: all of it, but to one address; or only what goes to some.

    Attributes:
        redirect: where everything goes instead, or ``""``.
        allow: addresses, and domains with an @ before them, in lower case.
    """

    redirect: str = ""
    allow: tuple[str, ...] = ()

    def lets_out(self, recipient: str) -> bool:
        """Whether mail for *recipient* goes out, to whomever."""
        address = recipient.lower()
        domain = address[max(0, address.rfind("@")) :]
        return bool(self.redirect) or address in self.allow or domain in self.allow

    def __str__(self) -> str:
        return f"redirect:{self.redirect}" if self.redirect else f"allow:{','.join(self.allow)}"


def read_sandbox(value: str) -> Sandbox | None:
    """Read what ``SMTP_ADMIN_SANDBOX`` says; ``None`` where it is empty.

    Raises:
        ValueError: it cannot be read; says what would be right.
    """
    text = value.strip()
    if not text:
        return None
    kind, _, rest = (part.strip() for part in text.partition(":"))
    if kind == "redirect" and _ADDRESS.fullmatch(rest) and not rest.startswith("*@"):
        return Sandbox(redirect=rest)
    patterns = [part.strip().removeprefix("*") for part in rest.split(",") if part.strip()]
    if kind == "allow" and patterns and all(map(_is_pattern, patterns)):
        return Sandbox(allow=tuple(pattern.lower() for pattern in patterns))
    raise ValueError(_SANDBOX)


def _is_pattern(text: str) -> bool:
    return bool(re.fullmatch(_DOMAIN, text) or _ADDRESS.fullmatch(text))
