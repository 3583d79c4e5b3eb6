"""What any server may say: Postfix, Exim, Exchange and the filters before them.

Looked at after the known providers. A reply is matched as one line: code, enhanced code, words.
"""

from smtp_admin.diagnosis.causes import Row

_NO_RELAY = (
    r"relay(?:ing)? (?:access )?(?:is )?(?:denied|disallowed|prohibited|not (?:permitted|allowed))"
    r"|(?:unable|not (?:permitted|allowed|authori[sz]ed)) to relay"
)
_LOGIN = (
    r"^530\b|turn on SMTP Authentication|relay through this server without authentication|"
    r"authentication (is )?(required|needed)(?!; Delivery)|Unauthenticated senders not allowed|"
    r"(must|need to|please) (log ?in|authenticate)\b"
)

LOGIN_AND_ENCRYPTION = (
    Row(
        "starttls_wanted",
        "The server takes nothing, and no login, before the connection is encrypted.",
        "Choose STARTTLS as security on port 587, or SSL/TLS on port 465.",
        says=r"STARTTLS (command )?(first|is required)|^538\b|encryption (is )?required",
        sure=True,
    ),
    Row(
        "starttls_broken",
        "The server offers encryption but cannot start it: often its certificate or key is "
        "missing.",
        "Its operator must mend that. Until then try port 465 with SSL/TLS.",
        says=r"TLS (is )?(currently )?(not available|unavailable)",
        sure=True,
    ),
    Row(
        "sender_not_verified",
        "The provider does not let this account send from {sender}, or from its domain.",
        "Add and verify the domain with the provider, in the account that this login belongs to.",
        says=r"(domain|sender|address) (is )?not (yet )?verified|unverified (domain|sender)|"
        r"domain .*\bnot allowed|not associated with your account|From/Sender name is not valid",
        sure=True,
    ),
    Row(
        "login_missing",
        "The server wants a login before it takes mail, and none is entered.",
        "Enter the login and password that your provider gave you for sending.",
        says=rf"{_LOGIN}|{_NO_RELAY}",
        users=r"^$",
        sure=True,
    ),
    Row(
        "login_wanted",
        "The server wants a login before it takes mail, and counted none for this connection.",
        "Enter the login that your provider gave you. If it is entered, use port 587 with "
        "STARTTLS or 465 with SSL/TLS: on port 25 many servers take no logins.",
        says=_LOGIN,
        sure=True,
    ),
    Row(
        "login_not_here",
        "The server knows no login on this port, or none before the encryption.",
        "Use port 587 with STARTTLS or port 465 with SSL/TLS, or leave the login empty.",
        says=r"^50[34]\b.*auth",
        sure=True,
    ),
    Row(
        "too_many_logins",
        "There were too many failed logins, so the server refuses more for a while.",
        "Wait an hour before the next try: each one makes the wait longer. Then enter login and "
        "password again.",
        says=r"too many (bad |failed |invalid )?(login|auth)",
        sure=True,
    ),
    Row(
        "login_service_away",
        "The server cannot check logins at the moment.",
        "Nothing is wrong with the password as far as one can tell. Wait; waiting mail is tried "
        "again by itself.",
        says=r"^4\d\d\b.*(temporary authentication|authentication (service|server))",
        sure=True,
    ),
)

SENDER = (
    Row(
        "sender_not_owned",
        "This login may not send from {sender}.",
        "Use the address of the login as from address, or let the provider allow this one for "
        "it, for instance as an alias.",
        says=r"not owned by|not logged in|must (equal|be (the )?same as) auth|"
        r"not one of your addresses|Sender address is not allowed|Relaying disallowed|"
        r"not allowed to send (as|from)",
        sure=True,
    ),
    Row(
        "sender_domain_unknown",
        "The receiving side finds no mail server or address in DNS for {domain}.",
        "Correct the from address, or publish an MX record for its domain.",
        says=r"Sender address rejected: Domain not found|^\d{3} [45]\.1\.8\b|"
        r"Domain of sender address|Invalid DNS MX|unresolvable .*from domain",
        sure=True,
    ),
    Row(
        "sender_not_a_mailbox",
        "The receiving side asked whether {sender} exists, and was told that it does not.",
        "Create a mailbox or an alias with this address.",
        says=r"Sender verify failed|Verification failed for",
        sure=True,
    ),
    Row(
        "dmarc_refused",
        "The domain's DMARC policy tells receivers to refuse this mail: it is neither signed by "
        "{domain} nor sent by one of its servers.",
        "Send through a server that signs for the domain (DKIM). An address of a free-mail "
        "provider can only be sent through that provider.",
        says=r"DMARC",
        sure=True,
    ),
    Row(
        "spf_refused",
        "The server that sends is not in the SPF record of {domain}.",
        "Add it there: your provider documents what to include. Keep one SPF record.",
        says=r"\bSPF\b.*(fail|policy|doesn.t allow|not permitted)|Sender Policy Framework|"
        r"^\d{3} [45]\.7\.2[347]\b",
        sure=True,
    ),
    Row(
        "sender_unauthenticated",
        "The receiving side wants proof that this mail comes from {domain}: SPF, DKIM and a "
        "DMARC record.",
        "Publish the records that your provider shows for the domain, wait until DNS knows them, "
        "and save the settings to try again.",
        says=r"^\d{3} [45]\.7\.(26|30|32|509|515)\b|senders to authenticate|"
        r"fails? to pass authentication|required authentication level",
        sure=True,
    ),
)

REPUTATION = (
    Row(
        "name_refused",
        "The server does not accept the name that this platform introduces itself with.",
        "The platform's operator sets SMTP_ADMIN_EHLO_NAME to a host name that exists in DNS.",
        says=r"\b(EHLO|HELO)\b.*(reject|denied|invalid|not allowed|argument)|"
        r"(invalid|bad) (EHLO|HELO)",
        sure=True,
    ),
    Row(
        "no_reverse_name",
        "The address that the mail comes from has no matching name in DNS (PTR record).",
        "Whoever runs that server sets the PTR record with its hoster, to a name that leads back "
        "to the address.",
        says=r"\bPTR\b|reverse (dns|hostname|lookup)|\brDNS\b|cannot find your|"
        r"^\d{3} [45]\.7\.2[35]\b",
        sure=True,
    ),
    Row(
        "block_list_misread",
        "The receiving server asks a block list wrongly and takes the error for a listing.",
        "Only its operator can mend that: it must ask Spamhaus by its own resolver, not a public "
        "one. Nothing is wrong with your mail.",
        says=r"open resolver|returnc/pub|127\.255\.255\.25[245]",
        sure=True,
    ),
    Row(
        "block_list",
        "The address or domain that the mail comes from is on a block list.",
        "Its operator looks it up on the page that the reply names, mends the reason, and asks "
        "to be taken off. Meanwhile send through another server.",
        says=r"spamhaus|spamcop|barracuda|cloudmark|proofpoint|uceprotect|blocked using|"
        r"\brbl\b|dnsbl|black ?list|block(ed)? ?list|\[BL\d+\]",
        sure=True,
    ),
    Row(
        "too_many_connections",
        "The server takes fewer connections at a time than this platform opened.",
        "Lower “Connections at a time”. The mail is tried again by itself.",
        says=r"too many (concurrent )?(smtp )?(connections|sessions)|concurrent connections|"
        r"connection rate limit",
        sure=True,
    ),
    Row(
        "recipient_rate",
        "This recipient gets more mail at the moment than the server allows for one mailbox.",
        "It is tried again by itself. If it goes on, send this recipient less.",
        says=r"receiving mail (too|at a rate)|^55\d 5\.2\.12[12]\b",
        sure=True,
    ),
    Row(
        "low_reputation",
        "The receiving side holds the mail back because its sender's reputation is low, or the "
        "volume grew suddenly.",
        "Send less for some days, only to people who want it, and check SPF, DKIM and DMARC of "
        "{domain}.",
        says=r"reputation|unusual rate|suspicious|unsolicited|excessive volume|"
        r"^421 4\.7\.(0|28)\b|^451 4\.7\.(500|65\d)\b",
    ),
    Row(
        "client_refused",
        "The server does not take mail from this platform's address.",
        "Ask its operator to allow the address, or send through your provider's server with a "
        "login.",
        says=r"client host rejected|not allowed to connect|not accepting (connections|mail from)|"
        r"connections? .*not (be )?accepted|traffic not accepted from this IP",
        sure=True,
    ),
    Row(
        "greylisted",
        "The server lets senders that it does not know wait (greylisting).",
        "It is tried again by itself and usually taken within a quarter of an hour. If it was "
        "given up, try it again by hand.",
        says=r"gr[ea]y-?list|^45[01] 4\.7\.1\b",
        sure=True,
    ),
)

RECIPIENT = (
    Row(
        "relay_denied",
        "The server does not send to other domains for this sender: it takes the login for none, "
        "or does not know {domain}.",
        "Check that {sender} belongs to the login, and use port 587 or 465 instead of 25.",
        says=_NO_RELAY,
        sure=True,
    ),
    Row(
        "recipient_suppressed",
        "The provider keeps this recipient on its list of addresses that get no mail: after a "
        "bounce, a complaint or an unsubscription.",
        "Check the address with its owner, then take it off the list in the provider's panel.",
        says=r"suppress",
        sure=True,
    ),
    Row(
        "mailbox_full",
        "The recipient's mailbox is full.",
        "Tell the recipient another way, and try again once there is room.",
        says=r"^\d{3} [45]\.2\.2\b|over ?quota|mailbox (is )?full|out of storage|"
        r"(?<!queue )quota exceeded|exceeded storage",
        sure=True,
    ),
    Row(
        "mailbox_disabled",
        "The recipient's mailbox exists but is switched off.",
        "Ask the recipient for another address.",
        says=r"^55\d 5\.2\.1\b|mailbox .*(disabled|blocked)|account .*disabled|inactiv|"
        r"no longer (valid|on server)",
        sure=True,
    ),
    Row(
        "recipient_closed",
        "The recipient only takes mail from inside its own organization, or from certain senders.",
        "Its administrator must allow mail from outside, or from {sender}.",
        says=r"^55\d 5\.7\.(12|124|129|13[345]?)\b|NotAuthenticatedFor",
        sure=True,
    ),
    Row(
        "recipient_domain",
        "The domain of the recipient does not exist, or takes no mail.",
        "Correct the part after the @; otherwise ask the recipient for another address.",
        says=r"^556\b|null ?MX|^55\d 5\.1\.2\b|Unrouteable|host or domain name not found|"
        r"Recipient address rejected: Domain not found",
        sure=True,
    ),
    Row(
        "recipient_unknown",
        "There is no such mailbox.",
        "Correct the address: a typing error, or a mailbox that was closed. Mail to many unknown "
        "addresses harms the sender's reputation.",
        says=r"^55\d 5\.1\.(1|10)\b|^55\d 5\.4\.1\b.*Access denied|no such (user|mailbox)|"
        r"user (is )?unknown|unknown (user|or illegal)|does ?n.t exist|does not exist|"
        r"(mailbox|user|recipient) (unavailable|not found|unallocated)|invalid recipient|"
        r"undeliverable address",
        sure=True,
    ),
)

CONTENT = (
    Row(
        "reply_too_large",
        "The mail is larger than the server takes.",
        "Send a link instead of the attachment, or make it smaller: on the way it grows by a "
        "third.",
        says=r"^55\d 5\.(2\.3|3\.4)\b|message (size )?(exceeds|too (big|large))|size limit",
        sure=True,
    ),
    Row(
        "attachment_refused",
        "The receiving side does not take this kind of attachment, or found a virus in it.",
        "Send a link instead; archives and programs are refused by most.",
        says=r"^552 5\.7\.0\b|illegal attachment|banned content|virus|potential security issue",
        sure=True,
    ),
    Row(
        "taken_for_spam",
        "The receiving side takes this mail for spam.",
        "Check SPF, DKIM and DMARC of {domain}, and the text: links to other domains, few words "
        "beside a picture, and no plain text are typical reasons.",
        says=r"spam|content (rejected|denied)|message content",
        sure=True,
    ),
    Row(
        "server_full",
        "The mail server has no space or no memory left.",
        "Its operator must make room. Waiting mail is tried again by itself.",
        says=r"^4\d\d 4\.3\.1\b|insufficient system|no space|disk full",
        sure=True,
    ),
    Row(
        "local_policy",
        "A rule of the receiving side forbids this mail, and it does not say which.",
        "Ask its operator, with the reply and the time. Often SPF, DKIM or DMARC of {domain} is "
        "missing.",
        codes="recipient_refused message_refused",
        says=r"policy|^55\d 5\.7\.[01]\b|administrative prohibition",
    ),
)

SERVER_REPLIES: tuple[Row, ...] = (
    *LOGIN_AND_ENCRYPTION,
    *SENDER,
    *REPUTATION,
    *RECIPIENT,
    *CONTENT,
)
