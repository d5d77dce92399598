"""Datasets of labelled cut-outs, built by Beam in the form of TensorFlow Datasets."""
