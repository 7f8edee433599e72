"""Apply a trained model to new images: detect faces, predict emotions, and report where the model looked.

`predictor` predicts; `images` and `folders` find the images and import no Keras; `output` writes the command's files.
"""
