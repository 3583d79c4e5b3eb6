"""Imported last by the process that others are forked from: what is there by then stays.

Else each of them would look through all of it for garbage, again and again.
"""

import gc

gc.collect()
gc.freeze()
