"""Experiments with a trained run: its model with other windows or perturbed images, and its agreement with people.

`observer` holds the model and a balanced sample of images; `perturbations` changes images; `resumable` saves long
calculations. `window_ablation`, `window_gradients`, `saliency`, `robustness` and `region_weights` run the model;
`agreement` needs only its predictions; `sweep` trains and evaluates a grid of runs. Each study writes its results and
its figure into the run folder.
"""
