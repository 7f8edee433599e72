"""EDRAM as the code of Forch et al. 2019 trains it on AffectNet: six glimpses, Adam 1e-4, batch size 192, 25 epochs.

    edram-fer prepare affectnet --source DIR --published forch2019 --classes seven
    edram-fer train forch2019 --set data=affectnet
    edram-fer sweep forch2019 --zoom-limit none,.5,.3 --set data=affectnet

Model, losses and augmentation are those of the code (docs/fidelity.md); class weights are the square roots of the
paper, those without root, the code's default, are `--set class_weights=inverse`.

Source: Forch, Vitay, Hamker, "Recurrent Spatial Attention for Facial Emotion Recognition", 2019; 60.4 % mean class
accuracy on AffectNet's seven classes without a zoom limit. For FER2013 use the recipe `fer2013`.
"""

from edram_fer.data.augment import Augmentation
from edram_fer.recipes.recipe import Recipe

RECIPE = Recipe(
    name="forch2019",
    options={"variant": "forch2019", "glimpses": 6},
    loss_form="forch2019",
    augmentation=Augmentation(shear=0.1, zoom_per_axis=True),
)
