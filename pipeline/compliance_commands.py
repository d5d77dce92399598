"""The commands ``packshot evaluate compliance`` and ``packshot evaluate gates``: their flags, and what they start."""

from __future__ import annotations

import argparse

from pipeline.usage import FAILED, OK, given, wrong_usage


def add_compliance_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot evaluate compliance``; each is a field of ``ComplianceConfig``."""
    parser.description = "Checks stored pictures against a profile, rule by rule."
    parser.add_argument("--output", help="a run's output folder; what the run knows of its pictures is used")
    parser.add_argument("--pictures", help="a folder of pictures of any origin; the product's place is estimated")
    parser.add_argument("--profile", help="by name or path (default: that of the run)")
    parser.add_argument("--limit", type=int, help="check at most so many pictures")
    parser.add_argument("--strict", action="store_true", help="exit status 1 if one fails that is not in review")
    parser.add_argument("--json", help="write all findings here")
    parser.set_defaults(handle=_evaluate_compliance)


def add_gate_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot evaluate gates``; each is a field of ``GatesConfig``."""
    parser.description = "Spoils photos by known amounts and counts what the gates notice, and what they invent."
    parser.add_argument("--photos", required=True, help="Parquet file or folder: id, image")
    parser.add_argument("--split", help="keep the photos of this value in the column split, such as validation")
    parser.add_argument("--masks", help="Parquet file of hand-drawn masks, id, mask: which photos the frame cuts")
    parser.add_argument("--model", default="packshot-seg", help="model by name or path (default: packshot-seg)")
    parser.add_argument("--limit", type=int, help="measure at most so many photos")
    parser.add_argument("--seed", type=int, help="of noise, texts and pairings (default: 0)")
    parser.add_argument("--json", help="write all figures here")
    parser.set_defaults(handle=_evaluate_gates)


def _evaluate_compliance(parsed: argparse.Namespace, _: list[str]) -> int:
    from pipeline.evaluation.compliance import ComplianceConfig, evaluate_compliance

    try:
        table, passed = evaluate_compliance(ComplianceConfig(**given(parsed, ComplianceConfig)))
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    print(table)
    return FAILED if parsed.strict and not passed else OK


def _evaluate_gates(parsed: argparse.Namespace, _: list[str]) -> int:
    from pipeline.evaluation.gates import GatesConfig, evaluate_gates

    try:
        print(evaluate_gates(GatesConfig(**given(parsed, GatesConfig))))
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    return OK
