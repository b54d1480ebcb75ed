"""What of flow matching is worth searching: the size of the U-Net, times, and how fast it learns.

    kerasdl tune flow --data digits --max-trials 20

A search aims at the FID of 200 samples (with `--judge-by loss` at the squared error of the velocity, at times
and with noise that are the same in every trial). The network itself is `kerasdl/models/flow_matching.py`:
what is tuned is what ships.
"""

from kerasdl import optimization, own_choice, replace


def space(hp, recipe):
    """Return the recipe with the values of a trial; its own are the defaults."""
    own = recipe.model
    width = hp.Int("width", 16, max(96, own.widths[0]), step=8, default=own.widths[0])
    levels = hp.Int("levels", 1, max(3, len(own.widths)), default=len(own.widths))
    is_own = (width, levels) == (own.widths[0], len(own.widths))
    model = own.replace(
        widths=own.widths if is_own else tuple(width * 2**level for level in range(levels)),
        num_blocks=hp.Int("num_blocks", 1, 2, default=own.num_blocks),
        attention=hp.Boolean("attention", default=own.attention),
        dropout=hp.Float("dropout", 0.0, 0.3, default=own.dropout),
        times=own_choice(hp, "times", ["uniform", "logit_normal"], own.times),
    )
    return replace(recipe, model=model, **optimization(hp, recipe, optimizers=["adam", "adamw"], most=512))


if __name__ == "__main__":
    from kerasdl import tune_file

    tune_file(__file__)
