"""The rule for a user id, which tokens, stored tasks and commands share."""

import re

#: The owner of every task in single-user mode.
SINGLE_USER_ID = "default"

#: In code points.
USER_ID_MAX_LENGTH = 255

USER_ID_RULE = f"must be 1 to {USER_ID_MAX_LENGTH} visible ASCII characters"

USER_ID = re.compile(rf"[\x21-\x7e]{{1,{USER_ID_MAX_LENGTH}}}")
