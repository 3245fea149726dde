# V-JEPA 2 ViT-L/16, frozen, and an attentive head, on Diving48. Not trained here.
_base_ = [
    '../_base_/models/frozen_vjepa2_large.py',
    '../_base_/datasets/diving48_256.py',
    '../_base_/schedules/adamw_probe_20e.py',
    '../_base_/default_runtime.py',
]

model = dict(cls_head=dict(num_classes=_base_.num_classes))
train_dataloader = dict(batch_size=8)
