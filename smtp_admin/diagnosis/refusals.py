"""What each code can come from once the server talks: login, sender, recipient, delivery.

Looked at last, after the server's own words; every code has a row here or in :mod:`.situations`
that needs nothing but the code.
"""

from smtp_admin.diagnosis.causes import Row

_TRIED_AGAIN = "Waiting mail is tried again by itself."

LOGIN = (
    Row(
        "encrypt_for_login",
        "The server takes logins only over an encrypted connection.",
        "Choose STARTTLS on port 587, or SSL/TLS on port 465.",
        codes="auth_not_offered",
        security="none",
    ),
    Row(
        "only_oauth",
        "The server only offers logins that this platform does not have, mostly OAuth2 instead "
        "of a password.",
        "Use another host or service that takes an app password or a key.",
        codes="auth_not_offered",
        message=r"logins that we do not have",
        sure=True,
    ),
    Row(
        "no_login_on_25",
        "On port 25 many servers take no logins.",
        "Use port 587 with STARTTLS or port 465 with SSL/TLS.",
        codes="auth_not_offered",
        ports="25",
    ),
    Row(
        "no_login_needed",
        "The server knows no logins: it takes mail from certain addresses, or from anybody.",
        "Leave the login empty. If your provider gave you one, check host and port.",
        codes="auth_not_offered",
    ),
    Row(
        "login_not_entered",
        "The server wants a login, and none is entered.",
        "Enter the login and password that your provider gave you for sending.",
        codes="auth_failed",
        users=r"^$",
        sure=True,
    ),
    Row(
        "gmail_login",
        "Google takes only an app password from programs, with the whole address as login.",
        "Create one at https://myaccount.google.com/apppasswords (2-Step Verification must be "
        "on) and enter its 16 letters without spaces.",
        codes="auth_failed",
        providers="gmail",
    ),
    Row(
        "ms_login",
        "Microsoft takes passwords for sending only where an administrator allows it, and not at "
        "all for personal Outlook.com addresses.",
        "In Microsoft 365 switch on “Authenticated SMTP” for the mailbox; otherwise send through "
        "a service that takes a password or key.",
        codes="auth_failed",
        providers="microsoft365",
    ),
    Row(
        "app_password",
        "This provider takes only app passwords from programs, not the account's own.",
        "Create an app password in the account's security settings, and use the whole address as "
        "login.",
        codes="auth_failed",
        providers="yahoo icloud fastmail zoho",
    ),
    Row(
        "gmx_switch",
        "GMX and WEB.DE let programs in only after that was switched on, and switch it off again "
        "where it is not used.",
        "Switch on “POP3 and IMAP” in the mailbox's settings; with two-factor authentication "
        "create an app password too.",
        codes="auth_failed",
        providers="gmx",
    ),
    Row(
        "sendgrid_username",
        "SendGrid wants the word apikey as login, and not your own name.",
        "Enter apikey as login and an API key, which begins with SG., as password.",
        codes="auth_failed",
        providers="sendgrid",
        users=r"^(?!apikey$)",
        sure=True,
    ),
    Row(
        "sendgrid_key",
        "SendGrid does not know the API key: it is incomplete, was deleted, or may not send.",
        "Create one with the “Mail Send” permission. The login is the word apikey, the password "
        "the whole key, which begins with SG.",
        codes="auth_failed",
        providers="sendgrid",
    ),
    Row(
        "ses_login",
        "Amazon SES has its own SMTP credentials for each region; an AWS secret access key is no "
        "password here.",
        "Create SMTP credentials in the SES console, in the region of this host.",
        codes="auth_failed",
        providers="ses",
    ),
    Row(
        "postmark_login",
        "Postmark wants a Server API token as login and as password; an Account API token does "
        "not count.",
        "Copy it from the server's “API Tokens” into both fields.",
        codes="auth_failed",
        providers="postmark",
    ),
    Row(
        "mailgun_login",
        "Mailgun has SMTP credentials for each domain; an API key is no password here. Domains "
        "in the EU have a host of their own.",
        "Create them under “Domain settings → SMTP credentials”, and use smtp.eu.mailgun.org for "
        "a domain in the EU.",
        codes="auth_failed",
        providers="mailgun",
    ),
    Row(
        "sparkpost_login",
        "SparkPost wants the word SMTP_Injection as login, and an API key that may send by SMTP.",
        "Create a key with the permission “Send via SMTP”. Accounts in the EU use "
        "smtp.eu.sparkpostmail.com.",
        codes="auth_failed",
        providers="sparkpost",
    ),
    Row(
        "mailtrap_login",
        "Mailtrap's sandbox and its sending service have different hosts, logins and passwords.",
        "Copy all of them from the same “Integration” page in Mailtrap.",
        codes="auth_failed",
        providers="mailtrap",
    ),
    Row(
        "whole_address",
        "The login may have to be the whole e-mail address.",
        "Enter it with the @ and the domain.",
        codes="auth_failed",
        providers="- gmail microsoft365 yahoo icloud fastmail zoho gmx",
        users=r"^[^@]+$",
    ),
    Row(
        "wrong_password",
        "The login or the password is wrong, or was changed since.",
        "Enter both again, copied without spaces, and try them in the provider's own web mail.",
        codes="auth_failed",
    ),
    Row(
        "wants_app_password",
        "The account has two-step verification, and programs need an app password.",
        "Look for “app passwords” in the account's security settings.",
        codes="auth_failed",
    ),
)

SENDER_AND_SERVER = (
    Row(
        "sender_not_yours",
        "The server does not let this login send from {sender}.",
        "Use the address that belongs to the login, or let the provider allow this one for it.",
        codes="sender_refused",
    ),
    Row(
        "sender_unverified",
        "The provider wants the address or its domain to be verified first.",
        "Verify the domain in the provider's panel, with the DNS records that it shows.",
        codes="sender_refused",
    ),
    Row(
        "caller_refused",
        "The server takes no connections from this platform's address, or has too many at the "
        "moment.",
        "Its own words say more. Try again later, or ask its operator about the address.",
        codes="server_refused",
        steps="greeting",
    ),
    Row(
        "introduction_refused",
        "The server does not like the name that this platform introduces itself with.",
        "The platform's operator sets SMTP_ADMIN_EHLO_NAME to a host name that exists in DNS.",
        codes="server_refused",
        steps="ehlo",
    ),
    Row(
        "logins_away",
        "The server cannot check logins at the moment.",
        f"Nothing is wrong with the password as far as one can tell. {_TRIED_AGAIN}",
        codes="server_refused",
        steps="auth",
    ),
    Row(
        "not_now",
        "The server is overloaded, is being maintained, or wants this mail later.",
        f"{_TRIED_AGAIN} If it goes on for hours, show your provider the reply.",
        codes="server_refused",
    ),
    Row(
        "provider_limit",
        "The provider limits how much this sender may send.",
        "The mail waits and goes out later. Enter the provider's limit as “Mails per hour, at "
        "most”, so that it is not met again, or enlarge the plan.",
        codes="rate_limited",
    ),
)

DELIVERY = (
    Row(
        "letters_in_address",
        "The address has letters that this server cannot write to.",
        "Ask the recipient for an address with unaccented letters before the @.",
        codes="recipient_refused",
        quiet=True,
        sure=True,
    ),
    Row(
        "recipient_wrong",
        "The address is wrong, or its server does not take mail from you.",
        "Check the address with its owner; the reply says more.",
        codes="recipient_refused",
    ),
    Row(
        "message_disliked",
        "The server did not like the content, or what it found out about the sender.",
        "Read the reply, and check SPF, DKIM and DMARC of {domain}. Trying again without a "
        "change will end the same way.",
        codes="message_refused",
    ),
    Row(
        "larger_than_allowed",
        "The mail is larger than the server takes, so it was not sent at all.",
        "Send a link instead of the attachment, or make it smaller: on the way it grows by a "
        "third.",
        codes="too_large",
    ),
    Row(
        "worker_ended",
        "The worker was killed, or its machine failed, while this mail was under way.",
        "It is sent again once, with the same Message-ID, unless its type leaves that to a person. "
        "Stop workers with SIGTERM, and look at the machine's memory.",
        codes="worker_lost",
    ),
    Row(
        "reply_lost",
        "The server's last reply was lost, so nobody knows whether it has the mail.",
        "Ask the recipient, or look into the provider's log, before you try again: the mail may "
        "arrive twice.",
        codes="worker_lost uncertain",
    ),
    Row(
        "waited_too_long",
        "The sender was paused, or its limit too low for all that waited, until the mail was too "
        "old.",
        "Mend what pauses the sender, which its tab shows. Then send the mail anew.",
        codes="expired",
    ),
    Row(
        "no_worker",
        "No worker was running for a long time.",
        "Start one: “flask smtp-admin worker”.",
        codes="expired queued",
    ),
    Row(
        "behind_others",
        "The sender is paused, or more mail waits than its limit lets out.",
        "Its tab shows the reason and when it goes on.",
        codes="queued",
    ),
    Row(
        "cancelled_by_hand",
        "Somebody cancelled it before it was sent.",
        "Nothing is wrong. Send it anew if it is wanted after all.",
        codes="cancelled",
    ),
    Row(
        "held_by_sandbox",
        "This is a test installation, and its sandbox (SMTP_ADMIN_SANDBOX) lets no mail to this "
        "address out.",
        "Send to an address that it lets out. For real mail the platform's operator takes the "
        "variable away and runs “flask smtp-admin sandbox release”.",
        codes="sandbox_held",
    ),
    Row(
        "dropped_from_sandbox",
        "An operator dropped the mail that waited in a sandbox, or in a copy of the database.",
        "Nothing is wrong. Send it anew if it is wanted after all.",
        codes="sandbox_dropped",
    ),
    Row(
        "on_suppression_list",
        "The address is on this platform's suppression list, after a bounce, a complaint or an "
        "unsubscription.",
        "Take it off the list only if its owner asks for that.",
        codes="suppressed",
    ),
    Row(
        "came_back",
        "The mail was accepted and came back later: there is no such mailbox, or it is full.",
        "Check the address with its owner.",
        codes="bounced",
    ),
    Row(
        "marked_as_spam",
        "The recipient marked the mail as spam.",
        "Do not write to this address again without its owner's wish.",
        codes="complained",
    ),
    Row(
        "mailtrap_keeps",
        "Mailtrap's sandbox keeps every mail and delivers none.",
        "Look into the sandbox; for real mail use another host.",
        codes="sent",
        hosts=r"(^|sandbox\.)smtp\.mailtrap\.io$",
        sure=True,
    ),
    Row(
        "in_spam_folder",
        "It was accepted and lies in the recipient's spam folder.",
        "Look there and mark it as “not spam”. Publish SPF, DKIM and DMARC for {domain}.",
        codes="sent",
    ),
    Row(
        "still_under_way",
        "It was accepted and is still on its way, or was turned away later on.",
        "Wait some minutes; then look into the provider's log, and for a mail about failed "
        "delivery at {sender}.",
        codes="sent",
    ),
)

REFUSALS: tuple[Row, ...] = (*LOGIN, *SENDER_AND_SERVER, *DELIVERY)
