"""Class-conditional generative adversarial networks of catalogue articles."""
