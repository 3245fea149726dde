# EMIM-UniFormer-S, 16 frames, Something-Something V1.
# A short name; the other recipes are in emim/.
_base_ = 'emim/emim-uniformer-small_k400-pre_8xb4-u16-60e_sthv1-rgb.py'
