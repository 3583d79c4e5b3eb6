"""Which server somebody may have meant who entered another one: a slip, or the incoming one."""

from functools import lru_cache

from smtp_admin.providers.catalogue import is_free_mail, knowledge, provider_of_host, receiver_of
from smtp_admin.providers.provider import Provider
from smtp_admin.smtp.hostname import ip_literal
from smtp_admin.translation import gettext

#: Of letters left out, doubled, changed or swapped.
_MOST_SLIPS = 2
_SHORTEST = 8


@lru_cache(maxsize=1000)
def meant_host(host: str) -> str:
    """The known server whose name is nearly *host*; empty where there is none, or it is right.

    A name of another free mail service is no slip, however near it is (mail.com, gmail.com).
    """
    name = host.lower().removesuffix(".")
    if len(name) < _SHORTEST or ip_literal(name) is not None or _is_known(name):
        return ""
    best, fewest = "", _MOST_SLIPS + 1
    for one in knowledge().known:
        for server in one.servers:
            slips = 1 if _other_ending(name, server) else slips_between(name, server, fewest)
            if slips < fewest:
                best, fewest = server, slips
    return best


def fitting_name(host: str, names: list[str]) -> str:
    """The one of a certificate's *names* that is *host* but for its ending or a slip."""
    first = host.partition(".")[0]
    for name in names:
        one = name.lower().replace("*", first, 1)
        if one != host and (
            _other_ending(host, one) or slips_between(host, one, _MOST_SLIPS + 1) <= _MOST_SLIPS
        ):
            return one
    return ""


def outgoing_of(host: str) -> tuple[Provider, str] | None:
    """Whose incoming server *host* is, and where mail is sent instead: host and port."""
    owner = receiver_of(host)
    return None if owner is None else (owner, outgoing(owner))


def outgoing(owner: Provider) -> str:
    """Where mail is sent by *owner*: its host, or some of them, and the port."""
    hosts = [one.host for one in owner.regions] or [owner.host or next(iter(owner.servers), "")]
    port = gettext(", port %(port)s", port=owner.port) if owner.port else ""
    if len(hosts) == 1:
        return hosts[0] + port
    return gettext("%(host)s or %(other)s%(port)s", host=hosts[0], other=hosts[1], port=port)


def _is_known(name: str) -> bool:
    if provider_of_host(name) is not None or receiver_of(name) is not None:
        return True
    if any(name in one.servers for one in knowledge().known):
        return True
    labels = name.split(".")
    return any(
        is_free_mail(".".join(labels[at:])) and not _in_family(".".join(labels[at:]))
        for at in range(len(labels) - 1)
    )


def _in_family(domain: str) -> bool:
    return any(domain in one.family for one in knowledge().known)


def _other_ending(name: str, server: str) -> bool:
    """Whether both differ in their last part only: smtp.mailgun.com, smtp.mailgun.org."""
    mine, _, _ = name.rpartition(".")
    theirs, _, _ = server.rpartition(".")
    return mine == theirs and name != server and mine.count(".") > 0


def slips_between(one: str, other: str, enough: int) -> int:
    """How many letters were left out, added, changed or swapped; from *enough* on it is the same.

    The distance of Damerau and Levenshtein in which no part is changed twice.
    """
    if abs(len(one) - len(other)) >= enough:
        return enough
    before: list[int] = []
    last: list[int] = [*range(len(other) + 1)]
    for row, letter in enumerate(one, 1):
        now: list[int] = [row]
        for column, against in enumerate(other, 1):
            least = min(last[column] + 1, now[-1] + 1, last[column - 1] + (letter != against))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == against:
                least = min(least, before[column - 2] + 1)
            now.append(least)
        if min(now) >= enough:
            return enough
        before, last = last, now
    return min(last[-1], enough)
