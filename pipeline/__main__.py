"""``python -m pipeline`` is the command ``packshot``."""

import sys

from pipeline.cli import command

if __name__ == "__main__":
    sys.exit(command())
