"""Recordings of people's gaze: read what eye trackers export, and bring it to the pixels of prepared faces.

`recordings.read` reads exports of Tobii Studio and Tobii Pro Lab (`tobii`), EyeLink ASC files (`eyelink`), eye tracking
in BIDS (`bids`) and plain CSV files of samples (`samples`) into one table of fixations; whatever it leaves out is
counted. `crops` maps pixels of a photo to pixels of the prepared face and back.
"""
