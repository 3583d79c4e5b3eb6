"""What is written down, in words for people; what has none is shown as it is called."""

ACTIONS: dict[str, str] = {
    "settings.saved": "Saved the settings of a sender",
    "settings.rolled_back": "Rolled back the settings of a sender",
    "settings.searched": "Searched for settings",
    "connection.tested": "Tested a connection",
    "dns.checked": "Looked up DNS records",
    "sender.deleted": "Deleted a sender",
    "sender.paused": "Paused a sender",
    "sender.resumed": "Resumed a sender",
    "routes.saved": "Changed the routes",
    "template.saved": "Saved an e-mail template",
    "template.reset": "Went back to a shipped e-mail template",
    "template.failed": "An e-mail template failed; the shipped one was used",
    "branding.saved": "Changed what mail looks like",
    "renewals.saved": "Changed the renewal notices",
    "renewals.run": "Ran the renewal notices",
    "sandbox.released": "Released mail from the sandbox",
    "sandbox.dropped": "Cancelled mail held by the sandbox",
    "sandbox.removed": "Let a copied database send",
    "testmail.self": "Sent a test mail to themselves",
    "testmail.other": "Sent a test mail",
    "mail.retried": "Sent mail again",
    "mail.hurried": "Tried mail at once",
    "mail.cancelled": "Cancelled mail",
    "mail.discarded": "Discarded dead letters",
    "mail.settled": "Marked mail as sent",
    "mail.given_up": "Gave up mail",
    "mail.corrected": "Sent mail to a corrected address",
    "mail.undone": "Undid a change to mail",
    "batch.queued": "Queued a batch",
    "batch.tried": "Sent the first mail of a batch to themselves",
    "batch.cancelled": "Cancelled a batch",
    "batch.resumed": "Resumed a batch",
    "alert.acknowledged": "Acknowledged an alert",
    "alert.muted": "Muted an alert",
    "alert.unmuted": "Unmuted an alert",
}


def action_words(action: str) -> str:
    """What *action* is called."""
    return ACTIONS.get(action, action)
