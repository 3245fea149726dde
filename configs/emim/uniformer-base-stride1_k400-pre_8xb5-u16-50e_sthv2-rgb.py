# EMIM's absence: the same network, frames and recipe with global attention in every block.
_base_ = 'emim-uniformer-base_k400-pre_8xb5-u16-50e_sthv2-rgb.py'

model = dict(backbone=dict(alternation='G'))
