"""What the export makes: a recipe a model, in the order of the table.

python -c "from deixis.export.recipes.catalogue import RECIPES; print(*RECIPES)"
"""

from __future__ import annotations

from deixis.export.recipes import faces, gestures, hands, objects, speech
from deixis.export.recipes.recipe import Recipe

RECIPES: dict[str, Recipe] = {
    recipe.role: recipe
    for recipe in (
        speech.SPEECH_ENCODER,
        speech.SPEECH_DECODER,
        speech.SPEECH_LETTERS,
        hands.PALM,
        hands.HAND,
        faces.DETECTOR,
        faces.FACE,
        objects.EMBEDDING,
        objects.ADAPTER,
        gestures.GESTURES,
    )
}
