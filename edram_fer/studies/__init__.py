"""Experiments with the model of a run: what it does when its windows are exchanged or its pictures changed.

`observer` is the model as the one who is asked; `looking`, `saliency` and `robustness` ask; `resumable` keeps what took
long.
"""
