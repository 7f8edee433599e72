"""Experiments with a run: what its model does when its windows are exchanged or its images changed, and whether
people look where it does.

`observer` is the model as the one who is asked; `window_ablation`, `saliency`, `robustness` and `region_weights` ask;
`agreement` needs only what was predicted; `resumable` keeps what took long.
"""
