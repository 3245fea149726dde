# UniFormer itself, whose stem halves the frames, with EMIM's recipe.
_base_ = 'emim-uniformer-base_k400-pre_8xb5-u16-50e_sthv2-rgb.py'

model = dict(backbone=dict(alternation='G', temporal_stride=2))
