"""Open a bounce mailbox with the sender's own sign-in instead of a password.

Its token may do a lot with a mailbox. So it goes only to the vendor's own IMAP server, or to the
server that it was granted for; else who may edit a sender could send it to a server of theirs.
"""

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Engine

from smtp_admin.credentials.claims import check_reading, read_claims
from smtp_admin.credentials.oauth import AccessToken, OAuthLogin
from smtp_admin.credentials.sign_ins import SIGN_INS, Vendor
from smtp_admin.credentials.token_failure import TokenFailure
from smtp_admin.credentials.token_requests import caller_for_tokens
from smtp_admin.events.bounces.imap import Account, Mailbox, open_mailbox
from smtp_admin.installation import Installation
from smtp_admin.oauth.kept import KeptTokens
from smtp_admin.oauth.sealing import SealedFor
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.report import Report
from smtp_admin.smtp.session import Dialler
from smtp_admin.translation import gettext

_IMAP_SERVERS: Mapping[Vendor, str] = {
    "microsoft": "outlook.office365.com",
    "google": "imap.gmail.com",
}


def servers_for(values: SenderValues) -> tuple[str, ...]:
    """The IMAP servers that may get a token of a sender with *values*; none without OAuth2."""
    way = SIGN_INS.get(values.sign_in) if "sign_in" in values else None
    if way is None:
        return ()
    own = (_IMAP_SERVERS.get(way.vendor, ""), values.host)
    return tuple(dict.fromkeys(one for one in own if one))


def open_for(
    engine: Engine,
    here: Installation,
    sender: ResolvedSender,
    account: Account,
    overall: Deadline,
    report: Report,
    *,
    trying: bool = False,
) -> Mailbox:
    """The folder of *account*, logged in to by its password, or by the sign-in of *sender*.

    Args:
        trying: whether settings are only tried: then the token is a new one.

    Raises:
        SMTPFailure: as :func:`.imap.open_mailbox`, and at the step ``token``.
        SecretError: a stored secret of the sender cannot be opened.
    """
    if account.password:
        return open_mailbox(account, here.config, overall, report)
    login = _login(here, sender, account)
    account = replace(account, mechanism=login.mechanism)
    bound = SealedFor(here.keyring, sender.partner_id, sender.sender_id)
    caller = caller_for_tokens(Dialler.from_config(here.config))
    tokens = KeptTokens(engine, caller, bound, anew=trying)
    token = _token(tokens, login, "", overall, report)
    try:
        return open_mailbox(replace(account, token=token.value), here.config, overall, report)
    except SMTPFailure as failure:
        if failure.code != "auth_failed" or token.new:
            raise
    # It was kept from before, and may have been revoked since: one more, and no third.
    token = _token(tokens, login, token.value, overall, report)
    return open_mailbox(replace(account, token=token.value), here.config, overall, report)


def _login(here: Installation, sender: ResolvedSender, account: Account) -> OAuthLogin:
    """What tokens of *sender* are asked for with.

    Raises:
        TokenFailure: it has none, or none for this server.
    """
    allowed = servers_for(sender.values)
    if account.host not in allowed:
        raise TokenFailure(
            "token_refused",
            gettext("The sender's sign-in is not for the server %(host)s.", host=account.host),
            hint=gettext("Save the mailbox again, or enter a password for it."),
        )
    login = sender.setup(here.keyring).credential
    if not isinstance(login, OAuthLogin):
        raise LookupError(f"Sender {sender.sender_id} has a way to sign in, and no login by it.")
    return login


def _token(
    tokens: KeptTokens, login: OAuthLogin, instead_of: str, overall: Deadline, report: Report
) -> AccessToken:
    found: list[AccessToken] = []

    def fetch() -> tuple[str, None]:
        token = tokens.token(login, instead_of=instead_of, overall=overall)
        claims = read_claims(token.value)
        check_reading(login, claims)
        found.append(token)
        return claims.words if claims else "", None

    report.run("token", fetch)
    return found[0]
