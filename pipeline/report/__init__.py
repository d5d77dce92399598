"""The HTML report of a run."""

from pipeline.report.page import build_report, write_report

__all__ = ["build_report", "write_report"]
