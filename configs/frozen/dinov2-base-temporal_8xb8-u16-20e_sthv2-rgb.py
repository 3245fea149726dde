# DINOv2 ViT-B/14, frozen, attention over time with EMIM's parameters, on Something-Something V2. Not trained here.
_base_ = 'dinov2-base-probe_8xb8-u16-20e_sthv2-rgb.py'

model = dict(neck=_base_.temporal_neck)
