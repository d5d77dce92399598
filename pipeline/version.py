"""The release; part of every catalogue row."""

__version__ = "0.1.0"
