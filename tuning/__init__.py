"""Search spaces: one file pairs with the pipeline of its name. None is shipped yet."""
