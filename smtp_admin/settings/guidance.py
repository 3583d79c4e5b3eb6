"""What the page says beside the fields: the provider's hints, and advice on what is there."""

from collections.abc import Iterator
from dataclasses import dataclass

from smtp_admin.clock import now
from smtp_admin.errors import InvalidInput
from smtp_admin.settings.advice import advice
from smtp_admin.settings.forms import SenderForm
from smtp_admin.settings.presets import (
    Note,
    Provider,
    check_shape,
    provider,
    provider_of_address,
    provider_of_host,
    providers,
    tidy_password,
)
from smtp_admin.settings.sender import ResolvedSender
from smtp_admin.settings.values import SenderValues
from smtp_admin.smtp.address import domain_of


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of the list of providers; a provider with regions has one for each."""

    value: str
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Guidance:
    """What to show around the form.

    Attributes:
        provider: the one that was chosen, or that the host belongs to.
        filled_in: whether it was chosen just now, and its values stand in the form.
        warnings: field → sentences; they block nothing.
    """

    provider: Provider | None
    filled_in: bool
    choices: tuple[Choice, ...]
    notes: tuple[Note, ...]
    warnings: dict[str, list[str]]


def guide(
    form: SenderForm,
    sender: ResolvedSender,
    values: SenderValues,
    *,
    chosen: str = "",
    site_domain: str = "",
) -> Guidance:
    """The guidance for *values*, and fill in what was *chosen* (``ses:eu-central-1``), if anything.

    Args:
        values: what stands in the form, if that can be used, else what is saved.
        site_domain: where the partner's site is.
    """
    key, _, region = chosen.partition(":")
    picked = provider(key)
    if picked is not None and region and region not in {one.key for one in picked.regions}:
        picked = None
    if picked is not None:
        _fill_in(form, sender, picked, region, site_domain)
    host = str(form.host.data or "")
    known = picked or provider_of_host(host) or provider_of_address(str(form.from_email.data or ""))
    warnings: dict[str, list[str]] = {}
    if picked is None and values.host:
        for one in advice(
            values,
            site_domain=site_domain,
            password_set_at=sender.password_set_at,
            now=now(),
            password=form.typed_password,
        ):
            warnings.setdefault(one.field, []).append(one.message)
    return Guidance(
        provider=known,
        filled_in=picked is not None,
        choices=tuple(_choices(chosen if picked else "", host)),
        notes=picked.notes_at(now().date()) if picked else (),
        warnings=warnings,
    )


def usable_password(host: str, username: str, password: str, from_email: str) -> str:
    """*password* as the provider of *host* means it, if its shape and the login's can be right.

    Raises:
        InvalidInput: they cannot; nothing needs to be dialled to know.
    """
    known = provider_of_host(host)
    tidy = tidy_password(known, password)
    wrong = check_shape(known, username, tidy, from_email)
    if wrong:
        raise InvalidInput(fields=wrong)
    return tidy


def _fill_in(
    form: SenderForm, sender: ResolvedSender, picked: Provider, region: str, site_domain: str
) -> None:
    domain = domain_of(sender.values.from_email) if sender.values.from_email else site_domain
    new = {
        "host": picked.host_for(region=region, domain=domain),
        "port": str(picked.port),
        "security": picked.security,
    }
    for name, value in new.items():
        if name not in sender.locked:
            form[name].data = value


def _choices(chosen: str, host: str) -> Iterator[Choice]:
    known = provider_of_host(host)
    for one in providers():
        if not one.regions:
            is_it = chosen == one.key or (not chosen and known is one)
            yield Choice(one.key, one.label, is_it)
            continue
        for region in one.regions:
            value = f"{one.key}:{region.key}"
            is_it = chosen == value or (not chosen and region.host == host)
            yield Choice(value, f"{one.label}, {region.label}", is_it)
