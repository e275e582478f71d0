"""The curves of a training run: logged value -> its file below dvclive/NAME/plots/metrics/, without the suffix."""

CURVES = {
    "train_loss": "train/loss",
    "val_loss": "val/loss",
    "val_roc_auc": "val/roc_auc",
    "val_stress_loss": "val/stress_loss",
    "val_stress_roc_auc": "val/stress_roc_auc",
}
