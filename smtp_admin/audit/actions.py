"""What is written down, in words for people; what has none is shown as it is called."""

from smtp_admin.translation import gettext

ACTIONS: dict[str, str] = {
    "settings.saved": gettext("Saved the settings of a sender"),
    "settings.rolled_back": gettext("Rolled back the settings of a sender"),
    "settings.searched": gettext("Searched for settings"),
    "connection.tested": gettext("Tested a connection"),
    "dns.checked": gettext("Looked up DNS records"),
    "sender.deleted": gettext("Deleted a sender"),
    "sender.paused": gettext("Paused a sender"),
    "sender.resumed": gettext("Resumed a sender"),
    "oauth.signed_in": gettext("Signed in to the mailbox of a sender"),
    "webhook.saved": gettext("Set up the webhook of a sender"),
    "webhook.rotated": gettext("Changed the address of a webhook"),
    "webhook.removed": gettext("Turned off the webhook of a sender"),
    "webhook.tried": gettext("Sent a sample to a webhook"),
    "routes.saved": gettext("Changed the routes"),
    "template.saved": gettext("Saved an e-mail template"),
    "template.reset": gettext("Went back to a shipped e-mail template"),
    "template.failed": gettext("An e-mail template failed; the shipped one was used"),
    "branding.saved": gettext("Changed what mail looks like"),
    "renewals.saved": gettext("Changed the renewal notices"),
    "renewals.run": gettext("Ran the renewal notices"),
    "sandbox.released": gettext("Released mail from the sandbox"),
    "sandbox.dropped": gettext("Cancelled mail held by the sandbox"),
    "sandbox.removed": gettext("Let a copied database send"),
    "testmail.self": gettext("Sent a test mail to themselves"),
    "testmail.other": gettext("Sent a test mail"),
    "mail.retried": gettext("Sent mail again"),
    "mail.hurried": gettext("Tried mail at once"),
    "mail.cancelled": gettext("Cancelled mail"),
    "mail.discarded": gettext("Discarded dead letters"),
    "mail.settled": gettext("Marked mail as sent"),
    "mail.given_up": gettext("Gave up mail"),
    "mail.released": gettext("Sent mail after all that was kept back"),
    "address.exported": gettext("Exported an address"),
    "address.erased": gettext("Erased an address"),
    "suppression.added": gettext("Suppressed an address"),
    "suppression.removed": gettext("Removed a suppression"),
    "suppression.imported": gettext("Imported suppressions"),
    "mail.corrected": gettext("Sent mail to a corrected address"),
    "mail.undone": gettext("Undid a change to mail"),
    "batch.queued": gettext("Queued a batch"),
    "batch.tried": gettext("Sent the first mail of a batch to themselves"),
    "batch.cancelled": gettext("Cancelled a batch"),
    "batch.resumed": gettext("Resumed a batch"),
    "alert.acknowledged": gettext("Acknowledged an alert"),
    "alert.muted": gettext("Muted an alert"),
    "alert.unmuted": gettext("Unmuted an alert"),
    "token.created": gettext("Created an API token"),
    "token.revoked": gettext("Revoked an API token"),
}


def action_words(action: str) -> str:
    """What *action* is called."""
    return ACTIONS.get(action, action)
