"""What the Flex Template's launcher starts: ``packshot run`` with the template's parameters as flags.

The launcher gives every parameter as ``--name=value``, adds the runner's own flags, among them ``--template_location``,
and expects the program to write the job down there and end; the service starts the job after that.
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Iterable, Iterator

from pipeline.cli import main
from pipeline.config import RunConfig


def as_flags(parameters: Iterable[str]) -> Iterator[str]:
    """Yields a template's parameters as ``packshot run`` takes them.

    A switch is a parameter of the value true or false there and a flag without a value here; an empty parameter is
    one that was left alone.

    Args:
      parameters: ``--name=value``; what looks otherwise is passed on.
    """
    kinds = typing.get_type_hints(RunConfig)
    switches = {field.name for field in dataclasses.fields(RunConfig) if kinds[field.name] is bool}
    for parameter in parameters:
        name, equals, value = parameter.partition("=")
        switch = name.removeprefix("--") in switches
        if (equals and not value) or (switch and value.lower() == "false"):
            continue
        yield name if switch and value.lower() == "true" else parameter


if __name__ == "__main__":
    sys.exit(main(["run", "--verbose", *as_flags(sys.argv[1:])]))
