# EMIM-UniFormer-S, 16x4 frames, Kinetics-400.
# A short name; the other recipes are in emim/.
_base_ = 'emim/emim-uniformer-small_in1k-pre_8xb8-16x4x1-110e_kinetics400-rgb.py'
