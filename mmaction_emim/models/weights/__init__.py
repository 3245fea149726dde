"""Names and shapes of weights: ours, upstream's, and those of EMIM's and UniFormer's authors."""
