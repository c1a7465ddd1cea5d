"""The errors that a user can meet, each with the exit code of the command line that it ends.

Anything else that escapes a command is a defect of pvla and shows its traceback.
"""

from __future__ import annotations


class PvlaError(Exception):
    """Base of the errors that pvla raises on purpose.

    The message is one sentence that says what was wrong, where, and what to do.
    """

    exit_code = 3


class InputError(PvlaError):
    """What the user gave cannot be used: a bad option, file, dataset, bundle or instruction."""

    exit_code = 2


class RunFault(PvlaError):
    """Something failed while running: a camera went silent, the arm stopped answering, a process died."""

    exit_code = 3
