"""Forecasts of several columns by one network that sees each of them alone: channel independence.

Reference: Nie et al., "A time series is worth 64 words: long-term forecasting with transformers", 2023,
https://arxiv.org/abs/2211.14730.
"""

from keras import ops


def apart(x, num_targets: int):
    """Return the windows of each target as sequences of their own, with the further columns beside each.

    Args:
        x: (B, T, C), the targets first.
        num_targets: number of targets, K.

    Returns:
        (B * K, T, 1 + C - K)
    """
    if num_targets == 1:
        return x
    steps, columns = x.shape[1:]
    alone = ops.transpose(x[:, :, :num_targets], (0, 2, 1))[..., None]  # (B, K, T, 1)
    if columns > num_targets:
        others = ops.repeat(x[:, None, :, num_targets:], num_targets, axis=1)  # (B, K, T, C - K)
        alone = ops.concatenate([alone, others], axis=-1)
    return ops.reshape(alone, (-1, steps, 1 + columns - num_targets))


def together(y, num_targets: int, horizon: int, num_quantiles: int = 0):
    """Return the forecasts of all targets, (B, horizon, K), or (B, horizon, K, Q) with quantiles.

    Args:
        y: forecasts of each target, (B * K, horizon * max(1, Q)).
        num_targets: number of targets, K.
        horizon: number of rows.
        num_quantiles: number of quantiles, Q; 0 for none.
    """
    if not num_quantiles:
        return ops.transpose(ops.reshape(y, (-1, num_targets, horizon)), (0, 2, 1))
    return ops.transpose(ops.reshape(y, (-1, num_targets, horizon, num_quantiles)), (0, 2, 1, 3))


def last_values(x, num_targets: int, num_quantiles: int = 0):
    """Return the last values of the targets, to be added to forecasts: (B, 1, K), or (B, 1, K, 1)."""
    last = x[:, -1:, :num_targets]
    return last[..., None] if num_quantiles else last


def without_last(x, num_targets: int):
    """Return windows (B, T, C) with the last value of each target subtracted from it."""
    change = x[:, :, :num_targets] - x[:, -1:, :num_targets]
    if x.shape[-1] == num_targets:
        return change
    return ops.concatenate([change, x[:, :, num_targets:]], axis=-1)
