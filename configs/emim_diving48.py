# EMIM-UniFormer-S, 16x4 frames, Diving48; the paper's recipe is unknown, this one is ours.
# A short name; the other recipes are in emim/.
_base_ = 'emim/emim-uniformer-small_k400-pre_8xb4-16x4x1-50e_diving48-rgb.py'
