# EMIM-UniFormer-S, 16x4 frames, Kinetics-600, with Kinetics-400's recipe (ours).
# A short name; the other recipes are in emim/.
_base_ = 'emim/emim-uniformer-small_in1k-pre_8xb8-16x4x1-110e_kinetics600-rgb.py'
