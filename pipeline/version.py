"""The release; part of every catalogue row."""

__version__ = "0.2.0"
