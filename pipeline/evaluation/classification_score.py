"""Classification accuracy score: a classifier learns from generated pictures and is asked about real ones.

After Ravuri and Vinyals ("Classification Accuracy Score for Conditional Generative Models", NeurIPS 2019). What a
generator leaves out or gets wrong, the classifier does not learn; so it sees what distances of features do not.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from models.articles import Articles
from models.classifier.classifier import Classifier, save_classifier
from models.classifier.settings import DEFAULT_RECIPE, Recipe, read_recipe
from models.classifier.training import fit_classifier, training_fingerprint
from models.metrics.generation import resized
from models.metrics.recognition import agreement


@dataclasses.dataclass(frozen=True)
class ClassificationScore:
    """What classifiers of one recipe learnt from either kind of picture.

    Attributes:
      generated, real: accuracy on real test pictures after learning from generated and from real ones, 0..1.
      generated_count, real_count: pictures learnt from.
      steps: of each training.
    """

    generated: float
    real: float
    generated_count: int
    real_count: int
    steps: int

    @property
    def ratio(self) -> float:
        """Accuracy from generated pictures over that from real ones."""
        return self.generated / self.real if self.real else float("nan")


def classification_score(
    real: Articles,
    generated: Articles,
    test: Articles,
    *,
    steps: int,
    seed: int,
    output: Path,
    recipe: Recipe | None = None,
) -> ClassificationScore:
    """Trains two classifiers from scratch, alike but for what they see.

    Args:
      real, generated: what to learn from; generated pictures need categories.
      test: real pictures of other sellers.
      steps: of each training.
      seed: of initial weights, draws and variations of both.
      output: folder where the classifiers are kept, and found again: the one that learnt from real pictures serves
        for every generator.
      recipe: how to train; that of the shipped classifier if not given.

    Raises:
      ValueError: the generated pictures have no categories.
    """
    if not len(generated):
        raise ValueError("a classification accuracy score needs generated pictures with categories")
    recipe = dataclasses.replace(recipe or read_recipe(DEFAULT_RECIPE), steps=steps)
    if len(set(generated.colours.tolist())) == 1:  # none were asked for
        recipe = dataclasses.replace(recipe, colour_weight=0.0)
    test = with_size(test, recipe.network.size)
    accuracies = []
    for name, articles in (("generated", generated), ("real", real)):
        articles = with_size(articles, recipe.network.size)
        path = output / "classifiers" / f"{name}-{training_fingerprint(articles, recipe, seed)}.keras"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            save_classifier(fit_classifier(articles, recipe, seed=seed), path, articles.category_names)
        accuracies.append(agreement(Classifier.load(path).probabilities(test.images), test.categories))
    return ClassificationScore(accuracies[0], accuracies[1], len(generated), len(real), steps)


def with_size(articles: Articles, size: int) -> Articles:
    """Returns the articles with their pictures brought to another size."""
    return dataclasses.replace(articles, images=resized(articles.images, size)) if len(articles) else articles
