"""What stands beside the fields of OAuth2: how to set it up, and whether somebody has signed in."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask import url_for

from smtp_admin.credentials.oauth import OAuthLogin
from smtp_admin.credentials.sign_ins import SIGN_INS, SignIn
from smtp_admin.database import session
from smtp_admin.errors import SMTPAdminError
from smtp_admin.installation import installation
from smtp_admin.oauth.sign_in import SignedIn, signed_in
from smtp_admin.pages.oauth import redirect_uri
from smtp_admin.pages.sender_form import SenderForm
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import gettext

_ENTRA = gettext(
    "Microsoft Entra admin center, App registrations, New registration: accounts of "
    "this organization only."
)
_MAILBOX_ON = gettext("Exchange: tick “Authenticated SMTP” for the mailbox (Manage email apps).")
#: Way to sign in → what to do at the vendor, in order.
_STEPS: Mapping[str, tuple[str, ...]] = {
    "microsoft_app": (
        _ENTRA,
        gettext("Copy “Directory (tenant) ID” and “Application (client) ID” into the fields here."),
        (
            gettext(
                "Press “Make a key pair”, save the certificate as a file, and upload it under "
                "Certificates & secrets, Certificates."
            )
        ),
        (
            gettext(
                "API permissions: Office 365 Exchange Online, Application permissions, "
                "SMTP.SendAsApp. Then “Grant admin consent”."
            )
        ),
        (
            gettext(
                "Enterprise applications: open the same app and copy its Object ID. It is "
                "another one than that of the registration."
            )
        ),
        gettext(
            "In Exchange Online PowerShell run the commands below. "
            "The change takes up to 30 minutes."
        ),
        _MAILBOX_ON,
    ),
    "microsoft_mailbox": (
        _ENTRA,
        gettext("Authentication: add the platform “Web” with the redirect address below."),
        (
            gettext(
                "Copy “Directory (tenant) ID” and “Application (client) ID”, and make a client "
                "secret; enter its value."
            )
        ),
        gettext("API permissions: Office 365 Exchange Online, Delegated permissions, SMTP.Send."),
        _MAILBOX_ON,
        gettext("Save here, then press “Sign in”."),
    ),
    "google_mailbox": (
        (
            gettext(
                "Google Cloud console, Google Auth Platform: publish the app (In production). "
                "In “Testing” every sign-in ends after 7 days."
            )
        ),
        gettext(
            "Clients: create one of the type “Web application” with the redirect address below."
        ),
        gettext("Copy client ID and client secret into the fields here."),
        gettext("Save here, then press “Sign in”."),
    ),
    "google_service": (
        gettext("Google Cloud console: create a service account and a key of the type JSON."),
        gettext("Enter its e-mail address as client ID, and the JSON file as private key."),
        (
            gettext(
                "Google Admin console, API controls, Domain-wide delegation: allow the "
                "account's numeric ID the scope https://mail.google.com/ with the slash at its "
                "end. It may take 24 hours."
            )
        ),
    ),
    "other_app": (
        (
            gettext(
                "Enter what your server's documentation calls token endpoint, client ID, secret "
                "and scope."
            )
        ),
    ),
    "other_mailbox": (
        gettext("Register a client with the redirect address below."),
        (
            gettext(
                "Enter authorization endpoint, token endpoint, client ID and scope. The scope "
                "must ask for a refresh token."
            )
        ),
        gettext("Save here, then press “Sign in”."),
    ),
}
#: RBAC for Applications first: it says which mailboxes the app may use.
_COMMANDS = """\
# With the object ID of the enterprise application:
New-ServicePrincipal -AppId {client} -ObjectId OBJECT-ID -DisplayName "Mail sending"
# For this mailbox only (RBAC for Applications):
$which = "PrimarySmtpAddress -eq '{mailbox}'"
New-ManagementScope -Name "Mail sending" -RecipientRestrictionFilter $which
$role = "Application SMTP.SendAsApp"
New-ManagementRoleAssignment -App OBJECT-ID -Role $role -CustomResourceScope "Mail sending"
# Where that role does not exist yet, the older way:
Add-MailboxPermission -Identity {mailbox} -User OBJECT-ID -AccessRights FullAccess"""


@dataclass(frozen=True, slots=True)
class OAuthGuidance:
    """What to show.

    Attributes:
        commands: for PowerShell, to copy; empty where there are none.
        redirect_uri: to register at the vendor; empty where nobody comes back.
        start: where the button leads; empty while there is nothing saved to sign in for.
        signed_in: whoever did; ``None`` for nobody.
        makes_keys: whether a key pair can be made for it here.
    """

    way: SignIn
    steps: tuple[str, ...]
    commands: str = ""
    redirect_uri: str = ""
    start: str = ""
    signed_in: SignedIn | None = None
    makes_keys: bool = False


def oauth_guidance(form: SenderForm, sender: ResolvedSender) -> OAuthGuidance | None:
    """The guidance for what is chosen in *form*; ``None`` where that is a password."""
    way = SIGN_INS.get(str(form["sign_in"].data or "")) if "sign_in" in form else None
    if way is None:
        return None
    login = _saved_login(sender)
    saved = login if login is not None and login.way is way and way.by_person else None
    return OAuthGuidance(
        way,
        _STEPS[way.key],
        commands=_commands(form) if way.key == "microsoft_app" else "",
        redirect_uri=redirect_uri() if way.by_person else "",
        start=_start(sender, saved) if saved is not None else "",
        signed_in=signed_in(session(), sender.sender_id, saved) if saved is not None else None,
        makes_keys="oauth_certificate" not in sender.locked and way.shows("oauth_certificate"),
    )


def must_sign_in(sender: ResolvedSender) -> bool:
    """Whether *sender*, as it is saved, sends nothing until a person signs in."""
    login = _saved_login(sender)
    if login is None or not login.way.by_person:
        return False
    found = signed_in(session(), sender.sender_id, login)
    return found is None or bool(found.dead_reason)


def _commands(form: SenderForm) -> str:
    client, mailbox = (str(form[one].data or "").strip() for one in ("oauth_client_id", "username"))
    usable = [one if one and not set("'\"`$;\n ") & set(one) else "" for one in (client, mailbox)]
    return _COMMANDS.format(client=usable[0] or "CLIENT-ID", mailbox=usable[1] or "MAILBOX")


def _saved_login(sender: ResolvedSender) -> OAuthLogin | None:
    if not sender.sender_id or sender.deleted or not sender.revision:
        return None
    try:
        login = sender.setup(installation().keyring).credential
    except (SMTPAdminError, LookupError):
        return None
    return login if isinstance(login, OAuthLogin) else None


def _start(sender: ResolvedSender, login: OAuthLogin) -> str:
    return url_for(
        "smtp_admin.oauth_start",
        provider=login.way.vendor,
        partner=sender.partner_id,
        sender=sender.key,
    )
