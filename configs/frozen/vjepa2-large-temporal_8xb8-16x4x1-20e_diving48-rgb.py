# V-JEPA 2 ViT-L/16, frozen, attention over time with EMIM's parameters, on Diving48. Not trained here.
_base_ = 'vjepa2-large-probe_8xb8-16x4x1-20e_diving48-rgb.py'

model = dict(neck=_base_.temporal_neck)
