"""The Amazon SES drivers: with keys of the sender's own, and with the rights of this machine."""

import re
from collections.abc import Mapping
from typing import Any, cast

from smtp_admin.credentials.none import NoLogin
from smtp_admin.credentials.password import Password
from smtp_admin.translation import gettext
from smtp_admin.transports.api_transport import APITransport
from smtp_admin.transports.driver import Driver, Setup, Surroundings, Trial
from smtp_admin.transports.fields import Field, Variable
from smtp_admin.transports.ses import probe
from smtp_admin.transports.ses.account import SESAccount, endpoint_of
from smtp_admin.transports.ses.sending import SESCalls
from smtp_admin.transports.ses.signing import Signer, signer_of_keys, signer_of_machine

_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-[1-9]")
_SET = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEY_ID = re.compile(r"[A-Z0-9]{16,128}")
_SECRET = re.compile(r"[A-Za-z0-9/+=]{16,128}")


def clean_region(text: str) -> str:
    """The code of a region; empty while none is entered. It becomes part of a host name."""
    region = text.strip().lower()
    if region and not _REGION.fullmatch(region):
        raise ValueError(gettext("Enter the code of the region, such as eu-central-1."))
    return region


def clean_configuration_set(text: str) -> str:
    """The name of a configuration set, or empty."""
    name = text.strip()
    if name and not _SET.fullmatch(name):
        raise ValueError(
            gettext("A configuration set has letters, digits, hyphens and underscores.")
        )
    return name


def clean_key_id(text: str) -> str:
    """The id of an access key; spaces around it are never meant."""
    key = text.strip()
    if key.startswith("ASIA"):
        raise ValueError(
            gettext(
                "A key that begins with ASIA ends after some hours. Make an access key "
                "of an IAM user: it begins with AKIA."
            )
        )
    if key and not _KEY_ID.fullmatch(key):
        raise ValueError(
            gettext("The id of an access key has capital letters and digits, such as AKIA….")
        )
    return key


def clean_secret(text: str) -> str:
    """A secret access key."""
    secret = text.strip()
    if secret and not _SECRET.fullmatch(secret):
        raise ValueError(gettext("A secret access key has 40 letters, digits, / and +."))
    return secret


_PLACE: tuple[Field, ...] = (
    Field(
        "ses_region",
        gettext("Region"),
        clean_region,
        help=gettext("The AWS region in which your domain is verified."),
        required=gettext("Enter the region."),
        destination=True,
        variables=(Variable("SMTP_SES_REGION"),),
        option="--ses-region",
        short=gettext("SES region"),
        placeholder="eu-central-1",
    ),
)
_SET_FIELD = Field(
    "ses_configuration_set",
    gettext("Configuration set"),
    clean_configuration_set,
    help=gettext(
        "Decides what AWS reports about each mail. If empty, the default one of the identity."
    ),
    place="more",
    variables=(Variable("SMTP_SES_CONFIGURATION_SET"),),
    option="--ses-configuration-set",
)
_KEYS: tuple[Field, ...] = (
    Field(
        "ses_key_id",
        gettext("Access key id"),
        clean_key_id,
        help=gettext("Of an IAM user that may ses:SendRawEmail. It begins with AKIA."),
        required=gettext("Enter the id of the access key."),
        destination=True,
        variables=(Variable("SMTP_SES_KEY_ID"),),
        option="--ses-key-id",
        short=gettext("SES access key id"),
        placeholder="AKIA…",
    ),
    Field(
        "ses_secret",
        gettext("Secret access key"),
        clean_secret,
        help=gettext(
            "Shown once by AWS when the key is made. Stored encrypted, never shown again."
        ),
        kind="secret",
        variables=(Variable("SMTP_SES_SECRET"),),
        short=gettext("SES secret access key"),
    ),
)


def _read(values: Mapping[str, Any], secrets: Mapping[str, str]) -> Setup:
    account = SESAccount(values["ses_region"], values["ses_configuration_set"])
    credential = Password(values["ses_key_id"], secrets.get("ses_secret", ""))
    return Setup("ses", account, credential, f"Amazon SES, {account.region}")


def _read_of_machine(values: Mapping[str, Any], _secrets: Mapping[str, str]) -> Setup:
    account = SESAccount(values["ses_region"], values["ses_configuration_set"], of_machine=True)
    return Setup(
        "ses-role",
        account,
        NoLogin(),
        gettext("Amazon SES, %(region)s, by this machine", region=account.region),
    )


def _signer(setup: Setup, surroundings: Surroundings) -> Signer:
    account = cast(SESAccount, setup.settings)
    if account.of_machine:
        return signer_of_machine(account.region, surroundings.dialler)
    return signer_of_keys(account.region, setup.credential)


def _open(setup: Setup, surroundings: Surroundings) -> APITransport:
    account = cast(SESAccount, setup.settings)
    endpoint = endpoint_of(account, surroundings.endpoints.get("ses", ""))
    calls = SESCalls(account, endpoint, _signer(setup, surroundings), surroundings.replies)
    return APITransport(calls, surroundings.dialler, surroundings.replies)


def _test(trial: Trial) -> None:
    account = cast(SESAccount, trial.setup.settings)
    probe.test_with(trial, account, _signer(trial.setup, trial.surroundings))


DRIVER = Driver(
    name="ses",
    label="Amazon SES",
    comparison=gettext("Sends by the API of Amazon SES. The test shows sandbox, pauses and quota."),
    needs=gettext("An AWS account, an identity that is verified in the region, and an access key."),
    fields=(*_PLACE, *_KEYS, _SET_FIELD),
    steps=probe.STEPS,
    read=_read,
    open=_open,
    test=_test,
    provider="ses",
)
OF_MACHINE = Driver(
    name="ses-role",
    label=gettext("Amazon SES with this machine's role"),
    comparison=gettext(
        "The same without a key: by the role of the machine that sends. Only platform "
        "admins may choose it, because it sends with the machine's rights."
    ),
    needs=gettext(
        "Workers on AWS whose role may ses:SendRawEmail. The role is read from the machine."
    ),
    fields=(*_PLACE, _SET_FIELD),
    steps=probe.STEPS,
    read=_read_of_machine,
    open=_open,
    test=_test,
    borrows_rights=True,
    provider="ses",
)
