"""What the page says beside the fields: the provider's hints, and advice on what is there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from smtp_admin.clock import now
from smtp_admin.pages.provider_choice import ProviderChoice, picked, provider_choice
from smtp_admin.pages.sender_form import SenderForm
from smtp_admin.providers.catalogue import provider_of_address, provider_of_host
from smtp_admin.providers.provider import Note, Provider
from smtp_admin.senders.advice import Advice, advice
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.address import domain_of
from smtp_admin.translation import gettext


@dataclass(frozen=True, slots=True)
class Offer:
    """A documented limit of the provider, to be taken over with one button.

    Attributes:
        value: what the button sends, ``gmail:0``.
        words: the numbers, for people.
        fields: field of the form → what is filled in.
        taken: whether it was chosen just now, and stands in the form.
    """

    value: str
    who: str
    words: str
    source: str
    fields: Mapping[str, str]
    taken: bool


@dataclass(frozen=True, slots=True)
class Guidance:
    """What to show around the form.

    Attributes:
        provider: the one that was chosen or found, or that the host belongs to.
        filled_in: whether it was chosen or found, and its values stand in the form.
        chosen: then, what was chosen; else empty.
        offered: the list of providers; ``None`` where the sending method has no host.
        limits: what the provider documents as its limits.
        warnings: field → advice; it blocks nothing.
        hints: field → what the provider wants there, instead of what the field says of itself.
    """

    provider: Provider | None
    filled_in: bool
    chosen: str
    offered: ProviderChoice | None
    notes: tuple[Note, ...]
    limits: tuple[Offer, ...]
    warnings: dict[str, list[Advice]]
    hints: Mapping[str, str]

    @property
    def wants_oauth(self) -> bool:
        """Whether its provider would rather have another login than a password."""
        known = self.provider
        return known is not None and known.authentication[:1] == ("oauth2",)


def guide(
    form: SenderForm,
    sender: ResolvedSender,
    values: SenderValues,
    *,
    chosen: str = "",
    kept: str = "",
    limit: str = "",
    found: Mapping[str, str] | None = None,
    site_domain: str = "",
) -> Guidance:
    """The guidance for *values*, and fill in what was chosen or found, if anything.

    Args:
        values: what stands in the form, if that can be used, else what is saved.
        chosen: a provider, with its region if it has several (``ses:eu-central-1``).
        kept: the same of one that was chosen before: what stands in the form came from it.
        limit: the number of one of a provider's limits (``gmail:0``).
        found: field → value, found by a search; ``provider`` is the key of the preset.
        site_domain: where the partner's site is.
    """
    if found is not None:
        chosen = found["provider"]
    has_host = "host" in form
    preset, region = picked(chosen) if has_host else (None, "")
    if found is not None:
        _fill(form, sender, {name: found[name] for name in _FOUND})
        if not form["from_email"].data:
            _fill(form, sender, {"from_email": found["address"]})
    elif preset is not None:
        _fill(form, sender, _of_preset(sender, preset, region, site_domain))
    host = str(form["host"].data or "") if has_host else ""
    shown, before = preset, picked(kept)[0] if has_host else None
    if preset is None and before is not None and provider_of_host(host) in (before, None):
        shown, chosen = before, kept
    address = str(form["from_email"].data or "") if has_host else ""
    known = shown or provider_of_host(host) or provider_of_address(address)
    limits = tuple(_offers(known, limit))
    for one in limits:
        if one.taken:
            _fill(form, sender, one.fields)
    warnings: dict[str, list[Advice]] = {}
    if preset is None and found is None and (values.host or values.complete):
        for hint in advice(
            values,
            site_domain=site_domain,
            password_set_at=sender.secret_set_at("password"),
            now=now(),
            password=form.typed("password"),
        ):
            warnings.setdefault(hint.field, []).append(hint)
    return Guidance(
        provider=known,
        filled_in=shown is not None,
        chosen=chosen if shown else "",
        offered=provider_choice(chosen, host) if has_host else None,
        notes=shown.notes_at(now().date()) if shown else (),
        limits=limits,
        warnings=warnings,
        hints=_hints(known) if has_host else {},
    )


_MOST_PORTS = 3
#: What a search fills in.
_FOUND = ("host", "port", "security", "username")


def _hints(known: Provider | None) -> dict[str, str]:
    """What to type at *known*; the ports are those that it offers, the best first."""
    if known is None:
        return {"port": _or(("587", "465", "2525"))}
    ports = [str(one.port) for one in known.ports[:_MOST_PORTS]]
    return {
        "port": _or(ports),
        "username": known.login,
        "password": known.password,
        "from_email": known.from_address,
    }


def _or(ports: Sequence[str]) -> str:
    if len(ports) == 1:
        return ports[0]
    return gettext("%(some)s or %(last)s", some=", ".join(ports[:-1]), last=ports[-1])


def _of_preset(
    sender: ResolvedSender, preset: Provider, region: str, site_domain: str
) -> dict[str, str]:
    domain = domain_of(sender.values.from_email) if sender.values.from_email else site_domain
    return {
        "host": preset.host_for(region=region, domain=domain),
        "port": str(preset.port),
        "security": preset.security,
    }


def _fill(form: SenderForm, sender: ResolvedSender, new: Mapping[str, str]) -> None:
    """Put *new* into the form, but not where the environment decides."""
    for name, value in new.items():
        if name not in sender.locked and name in form:
            form[name].data = value


def _offers(known: Provider | None, limit: str) -> Iterator[Offer]:
    for number, one in enumerate(known.limits if known else ()):
        value = f"{known.key if known else ''}:{number}"
        numbers = {
            "max_per_hour": one.per_hour,
            "max_per_day": one.per_day,
            "max_connections": one.connections,
        }
        fields = {name: str(number) for name, number in numbers.items() if number is not None}
        yield Offer(value, one.who, one.words, one.source, fields, taken=value == limit)
