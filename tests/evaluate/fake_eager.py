"""Stands in for `python -m pvla.export.eager_server`."""

import sys


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if sys.argv[1] == "broken":
    say("missing checkpoints are gone")
elif sys.argv[1] != "silent":
    say("ready vision|sampler_plain")
    for line in sys.stdin:
        if line.strip() == "die":
            break
        say("0.25" if line.strip() == "vision" else "0.5")
