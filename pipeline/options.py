"""Flags of ``packshot run`` as Beam pipeline options, made from the fields of ``RunConfig``."""

from __future__ import annotations

import argparse
import dataclasses
import typing

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions

from pipeline.config import RunConfig

DEFAULT_RUNNER = "DirectRunner"


def add_run_arguments(parser: argparse.ArgumentParser, *, defaults: bool = True) -> None:
    """Adds one flag for every field of ``RunConfig``; without ``defaults``, only those given have a value."""
    kinds = typing.get_type_hints(RunConfig)
    for field in dataclasses.fields(RunConfig):
        extra = {k: v for k, v in field.metadata.items() if k not in ("pixels", "help")}
        default = None if field.default is dataclasses.MISSING else field.default
        text = field.metadata["help"].replace("%", "%%")
        if kinds[field.name] is bool:
            default = False if defaults else argparse.SUPPRESS
            parser.add_argument(f"--{field.name}", action="store_true", default=default, help=text)
            continue
        if isinstance(default, tuple):
            default = ",".join(default)
        shown = f" (default: {default})" if defaults and default not in (None, "") else ""
        kind = kinds[field.name] if kinds[field.name] in (int, float) else str
        if "metavar" not in extra and "choices" not in extra:
            extra["metavar"] = field.name.rsplit("_", 1)[-1].upper()
        default = default if defaults else argparse.SUPPRESS
        parser.add_argument(f"--{field.name}", type=kind, default=default, help=text + shown, **extra)


class PackshotOptions(PipelineOptions):
    """The run's flags among Beam's own, so that a template or a runner can carry them."""

    @classmethod
    def _add_argparse_args(cls, parser):
        add_run_arguments(parser)

    def run_config(self) -> RunConfig:
        """Returns the validated configuration.

        Raises:
          ValueError: a value is missing or out of its range.
        """
        values = self.get_all_options()
        for name in ("input", "output"):
            if not values.get(name):
                raise ValueError(f"--{name} is missing; name {'the catalogue' if name == 'input' else 'a folder'}")
        return RunConfig.from_mapping(values)


class RememberingOptions(PipelineOptions):
    """Beam's options, each view of which is made once.

    Beam asks for views some eight hundred times while it builds the graph, and makes a parser of arguments for each.
    """

    def view_as(self, cls):
        views = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return views[cls]


def only_written_down(options: PipelineOptions) -> bool:
    """Says whether Dataflow's runner does not run the job but writes it down, at ``--template_location``, for later."""
    runner = options.view_as(StandardOptions).runner or ""
    return runner.endswith("DataflowRunner") and bool(options.view_as(GoogleCloudOptions).template_location)


def unknown_flags(arguments: list[str]) -> list[str]:
    """Returns the arguments that neither Packshot nor Beam nor any of its runners knows."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    pending = [PipelineOptions]
    while pending:
        kind = pending.pop()
        pending.extend(kind.__subclasses__())
        if "_add_argparse_args" in vars(kind):
            kind._add_argparse_args(_Lenient(parser))  # type: ignore[arg-type]
    return parser.parse_known_args(arguments)[1]


class _Lenient:
    """Lets Beam's option classes register on a plain parser, value providers included."""

    def __init__(self, parser: argparse.ArgumentParser):
        self._parser = parser

    def add_argument(self, *names, **settings):
        settings.pop("required", None)
        return self._parser.add_argument(*names, **settings)

    add_value_provider_argument = add_argument

    def add_argument_group(self, *_, **__):
        return self

    add_mutually_exclusive_group = add_argument_group
