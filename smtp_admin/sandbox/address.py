"""When two public addresses are the same: by host, port and path, whatever the scheme."""

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

#: As https and http have them; which of the two it is does not count.
_USUAL_PORTS = (None, 80, 443)
_LOOPBACK = "localhost"
_LOOPBACK_NAMES = {_LOOPBACK, "localhost.localdomain", "ip6-localhost", "ip6-loopback"}


@lru_cache(maxsize=100)
def comparable(url: str) -> str:
    """*url* (http or https, checked) as it is compared and recorded; ``""`` for none.

    All names and addresses of the own machine are one.
    """
    if not url:
        return ""
    parts = urlsplit(url)
    port = "" if parts.port in _USUAL_PORTS else f":{parts.port}"
    return f"{_host(parts.hostname or '')}{port}{parts.path.rstrip('/')}"


def of_this_machine(url: str) -> bool:
    """Whether nobody but this machine reaches *url*."""
    return _host(urlsplit(url).hostname or "") == _LOOPBACK


def _host(name: str) -> str:
    name = name.rstrip(".").lower()
    if name in _LOOPBACK_NAMES or name.endswith(f".{_LOOPBACK}"):
        return _LOOPBACK
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name
    if isinstance(address, ipaddress.IPv4Address):
        return _LOOPBACK if address.is_loopback else str(address)
    mapped = address.ipv4_mapped
    if mapped is not None:
        return _host(str(mapped))
    return _LOOPBACK if address.is_loopback else f"[{address}]"
