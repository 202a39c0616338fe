"""Random histories of meetings, carried out by the product and by a plain model of what is right; both must agree.

`histories` makes them, `model` says what must be in Dynamics at the end and knows nothing of the product, `product` is
the product itself in one process, `judge` compares, `shrink` finds the smallest history that still differs.
"""
