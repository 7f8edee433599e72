"""Drawn faces with known expression, affect, pose, occluder and landmarks, and a mask of the changed pixels.

    from edram_fer.preprocessing import synthetic
    face = synthetic.draw(0, 7, emotion="fear", size=100)          # one image
    faces = synthetic.generate(1000, seed=0, size=48)              # an iterator over many, with balanced classes
    image, landmarks = synthetic.scene(0, 7).show({"AU12": 0.8})   # the same person with chosen action units

An emotion is a set of action units (`action_units`), which move the landmarks (`movements`, `geometry`) of a drawn
`person`. Curves run through the landmarks (`curves`) and are filled (`painting`); a `scene` adds camera, light,
background, clothes (`outfit`) and `occluders`.
"""

from edram_fer.preprocessing.synthetic.faces import DrawnFace, draw, emotion_at, generate, generate_arrays, scene

__all__ = ["DrawnFace", "draw", "emotion_at", "generate", "generate_arrays", "scene"]
