"""Services that make one machine enough: a private Redis, a test inbox, and what starts them.

For examples, development and tests, on loopback only; needs the extra ``smtp_admin[embedded]``.
Nothing in the plugin imports from here.
"""
