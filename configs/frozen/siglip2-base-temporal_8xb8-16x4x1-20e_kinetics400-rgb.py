# SigLIP 2 ViT-B/16, frozen, attention over time with EMIM's parameters, on Kinetics-400. Not trained here.
_base_ = 'siglip2-base-probe_8xb8-16x4x1-20e_kinetics400-rgb.py'

model = dict(neck=_base_.temporal_neck)
