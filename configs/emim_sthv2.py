# EMIM-UniFormer-S, 16 frames, Something-Something V2.
# A short name; the other recipes are in emim/.
_base_ = 'emim/emim-uniformer-small_k400-pre_8xb4-u16-50e_sthv2-rgb.py'
