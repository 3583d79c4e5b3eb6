"""How a mail becomes bytes: types, templates, messages, the mailer."""
