"""What known providers say, and what they mean by it.

Every pattern was taken from a real reply; the tests hold one for each. A reply is matched as one
line: code, enhanced code, words.
"""

from smtp_admin.diagnosis.causes import Row

_CREATE = (
    "at https://myaccount.google.com/apppasswords (2-Step Verification must be on) and enter its "
    "16 letters without spaces"
)

GOOGLE = (
    Row(
        "gmail_app_password",
        "Google wants an app password here, not the account's own password.",
        f"Create one {_CREATE}.",
        says=r"^534\b.*(application-specific|InvalidSecondFactor)",
        sure=True,
    ),
    Row(
        "gmail_bad_credentials",
        "Google refused this login. It takes only app passwords from programs, and a changed "
        "account password revokes them all.",
        f"Create a new app password {_CREATE}. The login is the whole address.",
        says=r"^535 5\.7\.8\b.*(BadCredentials|Username and Password not accepted)",
    ),
    Row(
        "gmail_web_login",
        "Google blocked this sign-in and wants a person to confirm it.",
        "Log in with a browser, confirm what Google asks, and use an app password here.",
        says=r"^534 5\.7\.14\b",
        sure=True,
    ),
    Row(
        "gmail_relay_name",
        "Google's relay does not accept the name that this platform introduces itself with.",
        "The platform's operator sets SMTP_ADMIN_EHLO_NAME to a real host name.",
        says=r"^421 4\.7\.0 Try again later, closing connection",
        sure=True,
    ),
    Row(
        "gmail_relay_unregistered",
        "Google's relay does not know this platform's address, or {domain} is not a domain of "
        "this Workspace account.",
        "Register the address in the Admin console, at Gmail → Routing → SMTP relay service, or "
        "use smtp.gmail.com with a login.",
        says=r"Invalid credentials for relay|Mail relay denied|Mail Sending denied",
        sure=True,
    ),
    Row(
        "gmail_daily_quota",
        "The account has used up what it may send in 24 hours: 500 recipients with Gmail, 2,000 "
        "with Google Workspace.",
        "The mail waits and goes out by itself. Enter the limit as “Mails per day, at most”, or "
        "use a sending service.",
        says=r"^550 5\.4\.5\b|daily (user )?(sending|smtp relay) (limit|quota)",
        sure=True,
    ),
)

_SWITCH_ON = (
    "An administrator ticks “Authenticated SMTP” for this user: Microsoft 365 admin center → "
    "Users → Active users → Mail → Manage email apps"
)

MICROSOFT = (
    Row(
        "ms_basic_retired",
        "Microsoft 365 no longer takes passwords for sending here. They are off by default from "
        "the end of December 2026.",
        "An administrator may still be able to allow them again in Exchange Online; otherwise "
        "send through a service that takes a password or key.",
        says=r"Basic authentication is not supported",
        sure=True,
    ),
    Row(
        "ms_off_for_tenant",
        "Authenticated sending (SMTP AUTH) is switched off in this Microsoft 365 organization.",
        f"{_SWITCH_ON}. That overrides the organization's switch.",
        says=r"SmtpClientAuthentication is disabled for the Tenant",
        sure=True,
    ),
    Row(
        "ms_off_for_mailbox",
        "Authenticated sending (SMTP AUTH) is switched off for this mailbox.",
        f"{_SWITCH_ON}.",
        says=r"SmtpClientAuthentication is disabled for the Mailbox",
        sure=True,
    ),
    Row(
        "ms_security_defaults",
        "The organization's security defaults (Microsoft Entra) forbid logins with a password.",
        "An administrator replaces security defaults by policies that except this account, or "
        "you send through a service that takes a password or key.",
        says=r"security defaults policy",
        sure=True,
    ),
    Row(
        "ms_basic_off",
        "Microsoft takes no passwords for this account: for personal Outlook.com, Hotmail and "
        "Live addresses since September 2024, app passwords included.",
        "Send through a service that takes a password or key. In an organization, an "
        "authentication policy of Exchange Online forbids it, and an administrator can change it.",
        says=r"basic authentication is disabled",
        sure=True,
    ),
    Row(
        "ms_wrong_password",
        "Microsoft 365 says that the login or the password is wrong.",
        "Use the mailbox's whole address, and try both at https://outlook.office.com. With "
        "multi-factor authentication the account's own password does not work here.",
        says=r"^535 5\.7\.(3\b|139\b.*credentials were incorrect)",
    ),
    Row(
        "ms_policy",
        "A policy of the organization (Conditional Access, multi-factor authentication) forbids "
        "this login, or Authenticated SMTP is off for the mailbox.",
        f"{_SWITCH_ON}; and except the account from policies that block legacy authentication.",
        says=r"^535 5\.7\.139\b",
    ),
    Row(
        "ms_login_wanted",
        "Microsoft 365 wants a login before it takes mail.",
        "Enter a mailbox's whole address as login, and its password. Authenticated SMTP must be "
        "on for that mailbox.",
        says=r"^530 5\.7\.57\b",
        sure=True,
    ),
    Row(
        "ms_own_mailbox_full",
        "The mailbox that sends is full; its “Sent Items” grow with every mail.",
        "Empty that folder, and let a retention policy keep it small.",
        says=r"mailbox full; STOREDRV\.Submission|^550 5\.2\.251\b",
        sure=True,
    ),
    Row(
        "ms_daily_quota",
        "The mailbox has reached Microsoft's 10,000 recipients in 24 hours.",
        "Enter a limit as “Mails per day, at most”, or use a sending service for bulk mail.",
        says=r"SubmissionQuotaExceeded|^550 5\.1\.90\b|daily limit for message recipients",
        sure=True,
    ),
    Row(
        "ms_send_as",
        "This mailbox may not send as {sender}.",
        "Use the mailbox's own address as from address, or give it the “Send as” permission in "
        "the Exchange admin center.",
        says=r"^55[04] 5\.(7\.60|2\.252)\b|SendAsDenied",
        sure=True,
    ),
    Row(
        "ms_connections",
        "Microsoft 365 takes three connections of one mailbox at a time.",
        "Set “Connections at a time” to 2, and give no other program this mailbox. The mail is "
        "tried again by itself.",
        says=r"^432 4\.3\.2\b|sender thread limit exceeded",
        sure=True,
    ),
    Row(
        "ms_restricted",
        "Microsoft has barred this account from sending, because it sent what looks like spam.",
        "Change its password, find out what was sent, and have an administrator release it in "
        "the Defender portal under “Restricted entities”.",
        says=r"bad outbound sender",
        sure=True,
    ),
    Row(
        "ms_connector",
        "No connector of this Microsoft 365 organization covers this platform's address.",
        "An administrator adds it to the inbound connector; or use smtp.office365.com and a login.",
        says=r"TenantAttribution",
        sure=True,
    ),
    Row(
        "ms_banned_address",
        "Microsoft has banned the address that the mail came from.",
        "The server's operator asks at https://sender.office.com to be taken off the list, after "
        "the reason is mended.",
        says=r"banned sending IP|^550 5\.7\.(511|60[6-9]|6[1-4]\d)\b",
        sure=True,
    ),
    Row(
        "ms_block_list",
        "Outlook.com does not take mail from the network that the server stands in.",
        "The server's operator asks at https://olcsupport.office.com; meanwhile send through "
        "another server.",
        says=r"part of their network is on our block list",
        sure=True,
    ),
)

YAHOO = (
    Row(
        "yahoo_app_password",
        "Yahoo and AOL take only app passwords from programs.",
        "Create one in the account's security settings (“Create app password”), and use the "
        "whole address as login. After many failures wait some hours.",
        says=r"\(#(AUTH\d+|MBR1212)\)",
        sure=True,
    ),
    Row(
        "yahoo_sender",
        "Yahoo only takes mail from the login's own address, and {sender} is another.",
        "Use the login's own address as from address.",
        says=r"Request failed; Mailbox unavailable|From: address not verified",
        sure=True,
    ),
    Row(
        "yahoo_deferred",
        "Yahoo holds mail back because of complaints, a sudden volume, or a sender that it does "
        "not know.",
        "Send less for a while, only to people who want it, and publish SPF, DKIM and DMARC for "
        "{domain}.",
        says=r"\[TSS?\d+\]|unexpected volume or user complaints",
        sure=True,
    ),
)

SENDGRID = (
    Row(
        "sendgrid_identity",
        "SendGrid does not know {sender} as one of your verified senders.",
        "In SendGrid, at Settings → Sender Authentication, authenticate {domain} or verify this "
        "address, and use exactly that as from address.",
        says=r"verified Sender Identity|not authorized to send from that email address",
        sure=True,
    ),
    Row(
        "sendgrid_credits",
        "The SendGrid account has used up the mails of its plan.",
        "Wait for the next day or month, or enlarge the plan; then enter its limit as “Mails per "
        "day, at most”.",
        says=r"Maximum credits exceeded|exceeded your messaging limits",
        sure=True,
    ),
)

AMAZON = (
    Row(
        "ses_not_verified",
        "Amazon SES has not verified an address of this mail in this region. In the sandbox "
        "every recipient must be verified too.",
        "Verify {domain} in the SES console, in the region of this host, and request production "
        "access to leave the sandbox.",
        says=r"Email address is not verified",
        sure=True,
    ),
    Row(
        "ses_rate",
        "The mail came faster than this SES account may send (in the sandbox one a second).",
        "It is tried again by itself. Lower “Connections at a time”, or ask AWS for a higher rate.",
        says=r"Maximum sending rate exceeded",
        sure=True,
    ),
    Row(
        "ses_daily_quota",
        "The SES account has used up its mails of 24 hours (in the sandbox 200).",
        "The mail waits. Enter the quota as “Mails per day, at most”, and ask AWS for a higher "
        "one or for production access.",
        says=r"Daily message quota exceeded",
        sure=True,
    ),
    Row(
        "ses_permission",
        "The user of these SMTP credentials may not send from this identity.",
        "Allow ses:SendRawEmail for the identity in the user's IAM policy, or create SMTP "
        "credentials in the SES console.",
        says=r"not authorized to perform .?ses:Send",
        sure=True,
    ),
    Row(
        "ses_paused",
        "AWS has paused sending for this account, mostly because of bounces or complaints.",
        "Read the mail that AWS sent to the account's owner, mend the reason, and ask for a new "
        "review.",
        says=r"Sending paused for this account",
        sure=True,
    ),
)

POSTMARK = (
    Row(
        "postmark_inactive",
        "Postmark keeps this recipient as inactive, after a bounce, a complaint or an "
        "unsubscription.",
        "Check the address with its owner; then reactivate it among the suppressions of the "
        "message stream.",
        says=r"marked as inactive|inactive (recipient|address)",
        sure=True,
    ),
    Row(
        "postmark_signature",
        "Postmark does not know {sender} as a confirmed sender.",
        "Verify {domain}, or confirm a sender signature for this address, in Postmark under "
        "“Sender Signatures”.",
        says=r"Sender Signature",
        sure=True,
    ),
    Row(
        "postmark_pending",
        "Postmark has not approved this account yet; until then it only writes to your own "
        "domains.",
        "Request approval in Postmark. It usually takes a working day.",
        says=r"pending approval",
        sure=True,
    ),
)

MAILGUN = (
    Row(
        "mailgun_sandbox",
        "Mailgun's sandbox domain, or an account without a plan, only sends to recipients that "
        "were authorized.",
        "Use a domain of your own, or add the recipient under “Authorized recipients”.",
        says=r"for test purposes only|authorized recipients",
        sure=True,
    ),
    Row(
        "mailgun_unverified",
        "Mailgun has not verified the domain yet.",
        "Publish the DNS records that Mailgun shows for it, and let it verify them again.",
        says=r"domain is unverified|requires DNS configuration",
        sure=True,
    ),
    Row(
        "mailgun_inactive",
        "The Mailgun account was not activated.",
        "Open the activation mail, or log in to Mailgun and do what it asks for.",
        says=r"activate your Mailgun account",
        sure=True,
    ),
    Row(
        "mailgun_disabled",
        "Mailgun does not let this domain or account send.",
        "Log in to Mailgun: it says there why the domain or account was disabled.",
        says=r"^(421|55\d) .*Domain \S+ is not allowed to send",
        sure=True,
    ),
)

OTHERS = (
    Row(
        "sparkpost_domain",
        "SparkPost does not know {domain} as a sending domain of this account.",
        "Add and verify it under “Sending domains”, or use an address of one that is there.",
        says=r"Unconfigured Sending Domain",
        sure=True,
    ),
    Row(
        "mailtrap_rate",
        "Mailtrap's sandbox takes only a few mails a second.",
        "Set “Connections at a time” to 1. The sandbox is for development: it delivers nothing.",
        says=r"too many emails per second",
        sure=True,
    ),
    Row(
        "cpanel_hourly",
        "The hosting account has sent as many mails as it may in an hour.",
        "The mail waits and goes out by itself. Enter the number in the reply as “Mails per "
        "hour, at most”, or ask the hoster for more.",
        says=r"exceeded the max emails per hour",
        sure=True,
    ),
    Row(
        "cpanel_failures",
        "Too many mails of this domain failed in an hour, so the hosting server stopped it.",
        "It ends after an hour. Correct or remove the addresses that bounce.",
        says=r"max defers and failures per hour",
        sure=True,
    ),
    Row(
        "cpanel_login",
        "The hosting server did not know this login and password.",
        "Use the mailbox's whole address as login and the mailbox's password, not the panel's, "
        "and the server name that the panel shows under “Connect devices”.",
        says=r"Incorrect authentication data",
    ),
    Row(
        "cpanel_from_domain",
        "The hosting server only sends mail from its own domains, and {domain} is none of them.",
        "Use an address of a domain that this hosting account has.",
        says=r"not allowed in header From",
        sure=True,
    ),
)

PROVIDER_REPLIES: tuple[Row, ...] = (
    *GOOGLE,
    *MICROSOFT,
    *YAHOO,
    *SENDGRID,
    *AMAZON,
    *POSTMARK,
    *MAILGUN,
    *OTHERS,
)
