# DINOv2 ViT-B/14, frozen, and an attentive head, on Kinetics-400. Not trained here.
_base_ = [
    '../_base_/models/frozen_dinov2_base.py',
    '../_base_/datasets/kinetics400.py',
    '../_base_/schedules/adamw_probe_20e.py',
    '../_base_/default_runtime.py',
]

model = dict(cls_head=dict(num_classes=_base_.num_classes))
train_dataloader = dict(batch_size=8)
