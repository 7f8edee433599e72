"""Drawn faces that know their expression, valence, arousal, pose, occluder, landmarks, and what the expression changed.

    from edram_fer.preprocessing import synthetic
    face = synthetic.draw(0, 7, emotion="fear", size=100)          # one image
    faces = synthetic.generate(1000, seed=0, size=48)              # an iterator over many, classes balanced
    image, landmarks = synthetic.scene(0, 7).show({"AU12": 0.8})   # the same person with any action units

Emotions are shown by action units (`action_units`), which move the landmarks (`movements`, `geometry`) of a drawn
`person`; `curves` run through them, `painting` fills them, and a `scene` adds camera, light, background, clothes
(`outfit`) and `occluders`.
"""

from edram_fer.preprocessing.synthetic.faces import DrawnFace, arrays, draw, emotion_of, generate, scene

__all__ = ["DrawnFace", "arrays", "draw", "emotion_of", "generate", "scene"]
