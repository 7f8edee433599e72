"""EDRAM as published for AffectNet: six glimpses, Adam 1e-4, plateau schedule, batch size 192, 25 epochs.

    python train.py forch2019 --set data=SOURCE

Source: Forch, Vitay, Hamker, "Recurrent Spatial Attention for Facial Emotion Recognition", 2019; 60.4 % mean class
accuracy on AffectNet's seven classes without a zoom limit. For FER2013 use the recipe `fer2013`.
"""

from edram_fer.recipes.recipe import Recipe

RECIPE = Recipe(options={"glimpses": 6})
