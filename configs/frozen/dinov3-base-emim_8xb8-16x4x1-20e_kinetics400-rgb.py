# DINOv3 ViT-B/16, frozen, EMIM on its features and an attentive head, on Kinetics-400. Not trained here.
_base_ = 'dinov3-base-probe_8xb8-16x4x1-20e_kinetics400-rgb.py'

model = dict(neck=_base_.emim_neck)
