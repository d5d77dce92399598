"""Augmentation: training samples made of a run's catalogue, written and committed with it.

A plan (``plan``) asks for variants of every photo, for products on other backdrops, and for generated products of
categories that are short of photos. What is asked for follows from the catalogue just written (``asking``); what the
last run has of it is carried over (``settling``); the rest is made by ``making`` and ``generating``, and ``examples``
gives all of it to TensorFlow Datasets. ``augmenting`` is the Beam graph of these. docs/AUGMENTATION.md.
"""
