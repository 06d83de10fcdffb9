"""The operator: kopf wiring around a pure reconciler."""
