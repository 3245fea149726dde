# EMIM-UniFormer-S, 16 frames, Something-Something V2.
# The front door; the others are in emim/.
_base_ = 'emim/emim-uniformer-small_k400-pre_8xb4-u16-50e_sthv2-rgb.py'
