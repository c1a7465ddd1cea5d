"""What holds for all tests."""

from __future__ import annotations

import signal

# A test run that a shell started in the background inherits an ignored Ctrl-C, and with it every command under test.
signal.signal(signal.SIGINT, signal.default_int_handler)
